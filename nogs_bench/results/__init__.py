"""From one run's raw curves to scores.

In come validation curves and test figures; out come result files of a numbered format, and from
those of many seeds times, speed-ups, intervals and ranks (`score`).
"""

from nogs_bench.results.alike import differing
from nogs_bench.results.configuration import (
    UNRECORDED,
    DatasetInfo,
    Hyperparameters,
    MethodInfo,
    ModelInfo,
    PretrainingInfo,
    RunConfig,
    Teaching,
)
from nogs_bench.results.curves import area_under_curve, time_to_accuracy, time_to_cross_entropy
from nogs_bench.results.entries import (
    ENTRY_SUFFIX,
    entry_key,
    entry_name,
    load_apart,
    load_entry,
    load_results,
    pack,
    result_files,
    save_entries,
    unpack_entry,
)
from nogs_bench.results.fields import Strict, number_name
from nogs_bench.results.machine import environment
from nogs_bench.results.ranking import LONGEST, Profile
from nogs_bench.results.result import (
    FORMAT_VERSION,
    BuildCost,
    ClassAccuracy,
    Point,
    RunResult,
    StepMetrics,
    TestMetrics,
    step_locations,
)
from nogs_bench.results.scoring import (
    BASELINE,
    ScoreRow,
    Scores,
    entries_of,
    score,
    score_runs,
)
from nogs_bench.results.statistics import (
    LEVEL,
    Estimate,
    Span,
    SpanEstimate,
    combined,
    estimate,
    estimate_spans,
    plain,
    prediction_interval,
    ratios,
    sign_interval,
)
from nogs_bench.results.storage import (
    MAX_BYTES,
    faults,
    first_fault,
    load_result,
    parse_result,
    save_result,
)

__all__ = [
    "BASELINE",
    "ENTRY_SUFFIX",
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
    "Span",
    "SpanEstimate",
    "StepMetrics",
    "Strict",
    "Teaching",
    "TestMetrics",
    "area_under_curve",
    "combined",
    "differing",
    "entries_of",
    "entry_key",
    "entry_name",
    "environment",
    "estimate",
    "estimate_spans",
    "faults",
    "first_fault",
    "load_apart",
    "load_entry",
    "load_result",
    "load_results",
    "number_name",
    "pack",
    "parse_result",
    "plain",
    "prediction_interval",
    "ratios",
    "result_files",
    "save_entries",
    "save_result",
    "score",
    "score_runs",
    "sign_interval",
    "step_locations",
    "time_to_accuracy",
    "time_to_cross_entropy",
    "unpack_entry",
]
