"""The paper's two criteria of when a run has converged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nogs_bench.results.curves import (
    Convergence,
    Curve,
    convergence_of_accuracy,
    convergence_of_cross_entropy,
    settled_accuracy,
    settled_cross_entropy,
)
from nogs_bench.results.statistics import Span
from nogs_bench.tasks import Convergence as Settings
from nogs_bench.tasks import Task


@dataclass(frozen=True)
class Criterion:
    """How near a run comes to its own best.

    - `field`: of a row, which holds the time.
    - `tolerance`: what a task's settings allow.
    - `converged`: a curve, the tolerance and the number of classes to when it has converged.
    - `settled`: a curve and the tolerance to when it first came so near, wherever its best lies.
    """

    field: str
    tolerance: Callable[[Settings], float]
    converged: Callable[[Curve, float, int], Convergence]
    settled: Callable[[Curve, float], Span]

    def of(self, curve: Curve, task: Task) -> Convergence:
        """When `curve`, of `task`, has converged."""
        return self.converged(curve, self.tolerance(task.convergence), len(task.classes))


# By the names that `Convergence.criterion` of a task takes.
CRITERIA = {
    "cross-entropy": Criterion(
        "convergence_cross_entropy",
        lambda settings: settings.cross_entropy_tolerance,
        convergence_of_cross_entropy,
        settled_cross_entropy,
    ),
    "accuracy": Criterion(
        "convergence_accuracy",
        lambda settings: settings.accuracy_tolerance,
        convergence_of_accuracy,
        settled_accuracy,
    ),
}
