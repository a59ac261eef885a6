"""The paper's figure, ours and its interval, side by side; what was not run is said to be so.

In come scores; out come lines: first our speed-ups and gains (`headline`), then the paper's own
tasks (`paper_tasks`).
"""

from nogs_bench.leaderboard.comparison.headline import headline
from nogs_bench.leaderboard.comparison.lines import Comparison
from nogs_bench.leaderboard.comparison.paper_tasks import paper_tasks
from nogs_bench.results import Scores

__all__ = ["Comparison", "compare"]


def compare(scores: Scores) -> tuple[Comparison, ...]:
    """Our speed-ups and gains beside the paper's, then the paper's own tasks."""
    return (*headline(scores), *paper_tasks(scores))
