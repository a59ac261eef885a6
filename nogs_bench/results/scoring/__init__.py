"""From the runs of many seeds to scores.

In come runs; out come `Scores`: rows of times, speed-ups over RAM, intervals and ranks.
"""

from nogs_bench.results.scoring.baseline import BASELINE
from nogs_bench.results.scoring.rows import ScoreRow, Scores
from nogs_bench.results.scoring.scores import entries_of, score, score_runs

__all__ = ["BASELINE", "ScoreRow", "Scores", "entries_of", "score", "score_runs"]
