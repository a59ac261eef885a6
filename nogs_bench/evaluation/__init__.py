"""`evaluate`: from tasks, methods, models and seeds to a folder of results, and their scores.

In come names and settings; they become jobs, which workers do in packs, each leaving its result
file; what is there already is not run again.
"""

from nogs_bench.evaluation.command import evaluate
from nogs_bench.evaluation.configs import difference, model_info
from nogs_bench.evaluation.target import Target, measure_target

__all__ = [
    "Target",
    "difference",
    "evaluate",
    "measure_target",
    "model_info",
]
