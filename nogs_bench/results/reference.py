"""What other methods are measured against: RAM, with the same model, at its own rate."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nogs_bench.results.curves import (
    ROUNDING,
    Curve,
    constant_accuracy,
    constant_cross_entropy,
    time_to_accuracy,
    time_to_cross_entropy,
)
from nogs_bench.results.result import RunResult
from nogs_bench.results.statistics import Span
from nogs_bench.tasks import Task, TrainingProtocol


@dataclass(frozen=True)
class Reference:
    """RAM's runs at one rate, and how good RAM ever gets.

    - `cross_entropy`: the mean over its runs of the least of each, plus the task's tolerance; nats.
    - `accuracy`: the mean of the highest of each, less the tolerance.
    - `cross_entropy_error`, `accuracy_error`: their standard errors over RAM's runs; None with one.
    - `learned`, `learned_accuracy`: whether a constant answer is worse than that level. If not,
      being as good as RAM says nothing.
    """

    runs: list[RunResult]
    rate: float
    cross_entropy: float
    accuracy: float
    cross_entropy_error: float | None
    accuracy_error: float | None
    learned: bool
    learned_accuracy: bool

    def as_good(self, curve: Curve, errors: float = 0.0) -> Span:
        """When a run is as good as RAM ever gets, by cross-entropy; `errors`: so many standard
        errors more than that."""
        return time_to_cross_entropy(
            curve, self.cross_entropy + errors * (self.cross_entropy_error or 0.0)
        )

    def as_accurate(self, curve: Curve, errors: float = 0.0) -> Span:
        """Likewise by accuracy."""
        level = self.accuracy + errors * (self.accuracy_error or 0.0)
        return time_to_accuracy(curve, level - ROUNDING)


def reference_of(
    task: Task, plan: TrainingProtocol, entries: Sequence[list[RunResult]]
) -> Reference | None:
    """The reference among RAM's `entries`, one for each rate; None if there is none.

    It is the one at the protocol's rate, which RULES.md says how to choose; where that was not run,
    the one of the least mean cross-entropy.
    """
    usual = (plan.training or task.training).learning_rate
    found = [_reference(task, runs) for runs in entries]
    at_rate = [each for each in found if each.rate == usual]
    return min(at_rate or found, key=lambda each: each.cross_entropy, default=None)


def _reference(task: Task, runs: list[RunResult]) -> Reference:
    criteria = task.convergence
    least = [min(p.cross_entropy for p in run.curve) for run in runs]
    highest = [max(p.accuracy for p in run.curve) for run in runs]
    level = statistics.fmean(least) + criteria.cross_entropy_tolerance
    level_accuracy = statistics.fmean(highest) - criteria.accuracy_tolerance
    first, classes = runs[0].curve, len(task.classes)
    constant = constant_accuracy(first)
    return Reference(
        runs=runs,
        rate=runs[0].hyperparameters.learning_rate,
        cross_entropy=level,
        accuracy=level_accuracy,
        cross_entropy_error=_standard_error(least),
        accuracy_error=_standard_error(highest),
        learned=level < constant_cross_entropy(first, classes),
        learned_accuracy=level_accuracy > (1 / classes if constant is None else constant),
    )


def _standard_error(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
