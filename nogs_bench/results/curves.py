"""What a validation curve says of one run: times and areas, each as `docs/scoring.md` defines it.

Times are in training iterations and known to the evaluation period. A time that a run did not
reach is censored: it is kept as "more than the run's length", never dropped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from nogs_bench.results.result import Point

Curve = Sequence[Point]


@dataclass(frozen=True)
class Time:
    """An iteration count that is known to lie in `low .. high`.

    Reached at iteration i > 0: (i, i). Reached before training: (0, evaluation period), for what
    it is compared with. Not reached: (length of the run, infinity).
    """

    low: float
    high: float

    @property
    def censored(self) -> bool:
        return math.isinf(self.high)


def iterations_to_cross_entropy(curve: Curve, tolerance: float) -> int:
    """First iteration with CE(i) <= min CE + `tolerance` nats (figure 5)."""
    limit = min(point.cross_entropy for point in curve) + tolerance
    return next(point.iteration for point in curve if point.cross_entropy <= limit)


def iterations_to_accuracy(curve: Curve, tolerance: float) -> int:
    """First iteration with accuracy(i) >= max accuracy - `tolerance` (Table 1, CUB)."""
    limit = max(point.accuracy for point in curve) - tolerance
    return next(point.iteration for point in curve if point.accuracy >= limit)


def time_to_target(curve: Curve, target: float) -> Time:
    """First iteration with accuracy(i) >= `target`; censored if there is none."""
    for point in curve:
        if point.accuracy >= target:
            return Time(point.iteration, point.iteration or curve[1].iteration)
    return Time(curve[-1].iteration, math.inf)


def area_under_curve(curve: Curve) -> float:
    """Mean validation accuracy over the run, by the trapezoidal rule: 0..1."""
    area = sum(
        (b.iteration - a.iteration) * (a.accuracy + b.accuracy) / 2
        for a, b in itertools.pairwise(curve)
    )
    return area / (curve[-1].iteration - curve[0].iteration)
