"""From one run's raw curves to scores.

In come validation curves and test figures; out come result files of a numbered format, and from
those of many seeds times, speed-ups, intervals and ranks (`score`).
"""

from nogs_bench.results.curves import area_under_curve, time_to_target
from nogs_bench.results.intervals import (
    LEVEL,
    Estimate,
    SpeedUp,
    estimate,
    geometric_mean,
)
from nogs_bench.results.machine import environment
from nogs_bench.results.ranking import LONGEST, Profile
from nogs_bench.results.result import (
    FORMAT_VERSION,
    MAX_BYTES,
    UNRECORDED,
    BuildCost,
    ClassAccuracy,
    DatasetInfo,
    Hyperparameters,
    MethodInfo,
    ModelInfo,
    Point,
    PretrainingInfo,
    RunConfig,
    RunResult,
    StepMetrics,
    Strict,
    Teaching,
    TestMetrics,
    faults,
    first_fault,
    load_result,
    load_results,
    parse_result,
    save_result,
    step_locations,
)
from nogs_bench.results.scoring import (
    BASELINE,
    ScoreRow,
    Scores,
    score,
    score_runs,
)

__all__ = [
    "BASELINE",
    "FORMAT_VERSION",
    "LEVEL",
    "LONGEST",
    "MAX_BYTES",
    "UNRECORDED",
    "BuildCost",
    "ClassAccuracy",
    "DatasetInfo",
    "Estimate",
    "Hyperparameters",
    "MethodInfo",
    "ModelInfo",
    "Point",
    "PretrainingInfo",
    "Profile",
    "RunConfig",
    "RunResult",
    "ScoreRow",
    "Scores",
    "SpeedUp",
    "StepMetrics",
    "Strict",
    "Teaching",
    "TestMetrics",
    "area_under_curve",
    "environment",
    "estimate",
    "faults",
    "first_fault",
    "geometric_mean",
    "load_result",
    "load_results",
    "parse_result",
    "save_result",
    "score",
    "score_runs",
    "step_locations",
    "time_to_target",
]
