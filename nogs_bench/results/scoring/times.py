"""When a run did something: the times that a row has, and their estimates over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from nogs_bench.results.curves import (
    Convergence,
    Curve,
    constant_accuracy,
    convergence_of_accuracy,
    convergence_of_cross_entropy,
    settled_accuracy,
    settled_cross_entropy,
    time_to_accuracy,
)
from nogs_bench.results.reference import Reference
from nogs_bench.results.result import RunResult
from nogs_bench.results.statistics import (
    MeasuredLevel,
    Span,
    SpanEstimate,
    estimate_spans,
    student,
)
from nogs_bench.tasks import TASKS, Task

CRITERIA = {"cross-entropy": "convergence_cross_entropy", "accuracy": "convergence_accuracy"}

# A run to when it did something.
Quantity = Callable[[RunResult], Convergence]


def quantities_of(task: Task, target: float, reference: Reference | None) -> dict[str, Quantity]:
    """The times that a row has, by name."""
    criteria, classes = task.convergence, len(task.classes)
    found: dict[str, Quantity] = {
        "time_to_target": lambda run: Convergence(
            _to_target(run.curve, target, task.judged_by, classes), True
        ),
        "convergence_cross_entropy": lambda run: convergence_of_cross_entropy(
            run.curve, criteria.cross_entropy_tolerance, classes
        ),
        "convergence_accuracy": lambda run: convergence_of_accuracy(
            run.curve, criteria.accuracy_tolerance, classes
        ),
    }
    if reference is not None and reference.learned:
        found["as_good"] = lambda run: Convergence(reference.as_good(run.curve), True)
    if reference is not None and reference.learned_accuracy:
        found["as_good_accuracy"] = lambda run: Convergence(reference.as_accurate(run.curve), True)
    return found


def _to_target(curve: Curve, target: float, judged_by: str, classes: int) -> Span:
    """Nothing is known by a target that a constant answer reaches."""
    constant = 1 / classes if judged_by != "accuracy" else constant_accuracy(curve)
    if constant is not None and constant >= target:
        return Span(0, math.inf)
    return time_to_accuracy(curve, target, judged_by)


def as_the_paper(run: RunResult) -> Span:
    """The task's own criterion, wherever in the run the least lies; nothing is known of a run that
    learned nothing, and so is as good as its own best at once."""
    task = TASKS[run.task]
    criteria, classes = task.convergence, len(task.classes)
    if criteria.criterion == "accuracy":
        tolerance, of, settled = (
            criteria.accuracy_tolerance,
            convergence_of_accuracy,
            settled_accuracy,
        )
    else:
        tolerance, of, settled = (
            criteria.cross_entropy_tolerance,
            convergence_of_cross_entropy,
            settled_cross_entropy,
        )
    if not of(run.curve, tolerance, classes).learned:
        return Span(0, math.inf)
    return settled(run.curve, tolerance)


def estimates_of(
    runs: Sequence[RunResult], quantities: Mapping[str, Quantity], reference: Reference | None
) -> dict[str, SpanEstimate]:
    """Each time over the seeds. Of those to a level of RAM's, the level's error is counted too."""
    levels: dict[str, MeasuredLevel] = {}
    if reference is not None:
        levels["as_good"] = _level(runs, reference, reference.as_good)
        levels["as_good_accuracy"] = _level(runs, reference, reference.as_accurate)
    return {name: _estimated(runs, of, levels.get(name)) for name, of in quantities.items()}


def _level(
    runs: Sequence[RunResult], reference: Reference, to: Callable[[Curve, float], Span]
) -> MeasuredLevel:
    count = len(reference.runs)
    wide = student(count - 1) / student(math.inf) if count > 1 else math.inf

    def times(errors: float) -> list[Span]:
        return [to(run.curve, errors) for run in runs] if count > 1 else []

    return MeasuredLevel(count, (times(-1), times(1)), (times(-wide), times(wide)))


def _estimated(
    runs: Sequence[RunResult], of: Quantity, level: MeasuredLevel | None
) -> SpanEstimate:
    found = [of(run) for run in runs]
    made = estimate_spans(
        [each.time for each in found],
        [run.seed for run in runs],
        sum(not each.learned for each in found),
        level,
    )
    assert made is not None
    return made
