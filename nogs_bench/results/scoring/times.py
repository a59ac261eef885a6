"""When a run did something: the times that a row has, and their estimates over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nogs_bench.results.curves import (
    Convergence,
    Curve,
    constant_accuracy,
    time_to_accuracy,
)
from nogs_bench.results.reference import Reference
from nogs_bench.results.result import RunResult
from nogs_bench.results.scoring.criteria import CRITERIA, Criterion
from nogs_bench.results.statistics import (
    MeasuredLevel,
    Span,
    SpanEstimate,
    estimate_spans,
    student,
)
from nogs_bench.tasks import JUDGED_BY, TASKS, Task

# A run to when it did something.
Quantity = Callable[[RunResult], Convergence]


def quantities_of(task: Task, target: float, reference: Reference | None) -> dict[str, Quantity]:
    """The times that a row has, by name."""
    found: dict[str, Quantity] = {
        "time_to_target": lambda run: Convergence(_to_target(run.curve, target, task), True),
    }
    for criterion in CRITERIA.values():
        found[criterion.field] = partial(_converged, criterion, task)
    if reference is not None and reference.learned:
        found["as_good"] = lambda run: Convergence(reference.as_good(run.curve), True)
    if reference is not None and reference.learned_accuracy:
        found["as_good_accuracy"] = lambda run: Convergence(reference.as_accurate(run.curve), True)
    return found


def _converged(criterion: Criterion, task: Task, run: RunResult) -> Convergence:
    return criterion.of(run.curve, task)


def constant_reaches(curve: Curve, target: float, task: Task) -> bool:
    """Whether a constant answer reaches `target`, so that the time to it says nothing; False where
    the run does not record its classes."""
    known = constant_accuracy(curve)
    return JUDGED_BY[task.judged_by](known or 0.0, len(task.classes)) >= target


def _to_target(curve: Curve, target: float, task: Task) -> Span:
    if constant_reaches(curve, target, task):
        return Span(0, math.inf)
    return time_to_accuracy(curve, target, task.judged_by)


def as_the_paper(run: RunResult) -> Span:
    """The task's own criterion, wherever in the run the least lies; nothing is known of a run that
    learned nothing, and so is as good as its own best at once."""
    task = TASKS[run.task]
    criterion = CRITERIA[task.convergence.criterion]
    if not criterion.of(run.curve, task).learned:
        return Span(0, math.inf)
    return criterion.settled(run.curve, criterion.tolerance(task.convergence))


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
