"""What a validation curve says of one run: times and areas, each as `docs/scoring.md` defines it.

Times are in training iterations. They are spans: what happened between two validations is known to
have happened between them, and what did not happen by the end has no upper bound.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nogs_bench.results.result import Point
from nogs_bench.results.statistics import Span

Curve = Sequence[Point]

# Accuracies are counts of images: a difference that is just a tolerance counts, however it rounds.
ROUNDING = 1e-9
# A run whose best lies in this last part of it has perhaps not converged yet.
END = 0.15


@dataclass(frozen=True)
class Convergence:
    """When a run settled, by one of the paper's criteria.

    `time` is unbounded where the run's best lies in its last `END`: a longer run might settle
    later. `learned` is False where the best is no better than a constant answer, or than the start:
    then there is nothing to settle on, and `time` says that it took more than the run's length.
    """

    time: Span
    learned: bool


def first_passing(curve: Curve, passed: Callable[[Point], bool]) -> Span:
    """Between which validations `passed` becomes true for the first time.

    Before training: (0, first period), for what it is compared with. Never: (length, infinity).
    """
    for before, point in zip([curve[0], *curve], curve, strict=False):
        if passed(point):
            return Span(before.iteration, point.iteration or curve[1].iteration)
    return Span(curve[-1].iteration, math.inf)


def time_to_accuracy(curve: Curve, target: float, judged_by: str = "accuracy") -> Span:
    """When accuracy(i), or what else a task is `judged_by`, is `target` or more for the first time.

    A point that does not record it has not passed.
    """
    return first_passing(curve, lambda point: point.judged(judged_by) >= target)


def time_to_cross_entropy(curve: Curve, level: float) -> Span:
    """When CE(i) <= `level` nats for the first time."""
    return first_passing(curve, lambda point: point.cross_entropy <= level)


def settled_cross_entropy(curve: Curve, tolerance: float) -> Span:
    """When CE(i) <= min CE + `tolerance` nats for the first time (figure 5)."""
    return time_to_cross_entropy(curve, min(p.cross_entropy for p in curve) + tolerance)


def settled_accuracy(curve: Curve, tolerance: float) -> Span:
    """When accuracy(i) >= max accuracy - `tolerance` for the first time (Table 1, CUB)."""
    return time_to_accuracy(curve, max(p.accuracy for p in curve) - tolerance - ROUNDING)


def convergence_of_cross_entropy(curve: Curve, tolerance: float, classes: int) -> Convergence:
    """`settled_cross_entropy`, where the run has settled."""
    best = min(curve, key=lambda point: point.cross_entropy)
    return _settled(curve, best, settled_cross_entropy(curve, tolerance), classes)


def convergence_of_accuracy(curve: Curve, tolerance: float, classes: int) -> Convergence:
    """`settled_accuracy`, where the run has settled."""
    best = max(curve, key=lambda point: point.accuracy)
    return _settled(curve, best, settled_accuracy(curve, tolerance), classes)


def _settled(curve: Curve, best: Point, time: Span, classes: int) -> Convergence:
    last = curve[-1].iteration
    if not learned(curve, classes) or best.iteration == 0:
        return Convergence(Span(last, math.inf), learned=False)
    if best.iteration > (1 - END) * last:
        return Convergence(Span(time.low, math.inf), learned=True)
    return Convergence(time, learned=True)


def learned(curve: Curve, classes: int) -> bool:
    """Whether the run ever knew more than `constant_cross_entropy`."""
    return min(point.cross_entropy for point in curve) < constant_cross_entropy(curve, classes)


def constant_cross_entropy(curve: Curve, classes: int) -> float:
    """Cross-entropy of always giving the classes' own shares of the validation split, nats.

    ln `classes`, which it cannot exceed, where the run does not record how many images of each
    class there are (formats 1 and 2).
    """
    known = curve[-1].classes
    if known is None:
        return math.log(classes)
    counts = [each.images for each in known if each is not None]
    return -math.fsum(n / sum(counts) * math.log(n / sum(counts)) for n in counts)


def constant_accuracy(curve: Curve) -> float | None:
    """Accuracy of always giving the commonest class of the validation split; None if unrecorded."""
    known = curve[-1].classes
    if known is None:
        return None
    counts = [each.images for each in known if each is not None]
    return max(counts) / sum(counts)


def area_under_curve(curve: Curve) -> float:
    """Mean validation accuracy over the run, by the trapezoidal rule: 0..1."""
    area = sum(
        (b.iteration - a.iteration) * (a.accuracy + b.accuracy) / 2
        for a, b in itertools.pairwise(curve)
    )
    return area / (curve[-1].iteration - curve[0].iteration)
