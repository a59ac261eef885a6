"""Whether predictions are as often right as they say: reliability curves and their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15
CURVE = ("confidence", "accuracy", "count")


@dataclass(frozen=True)
class Reliability:
    """A reliability curve: predictions in bins of equal width of their confidence, 0 .. 1.

    Only bins that hold predictions are listed.

    - `confidence`: mean probability given to the class held likeliest, of each bin.
    - `accuracy`: share of them that were right.
    - `count`: how many there are.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]

    @property
    def expected_error(self) -> float:
        """Expected calibration error (Guo et al. 2017, equation 3), in 0 .. 1."""
        gaps = np.abs(np.subtract(self.accuracy, self.confidence))
        return float(np.average(gaps, weights=self.count))


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """The curve of predictions, float (n, classes) whose rows sum to 1, and labels, int64 (n,)."""
    right = probabilities.argmax(1) == labels
    return _curve(probabilities.max(1), right, np.ones(len(labels), np.int64), bins)


def pooled(curves: Sequence[Reliability], bins: int = BINS) -> Reliability:
    """The curve of all predictions behind several curves of so many bins."""
    confidence, accuracy, count = (
        np.concatenate([getattr(curve, name) for curve in curves]) for name in CURVE
    )
    return _curve(confidence, accuracy, count, bins)


def _curve(
    confidence: np.ndarray, accuracy: np.ndarray, count: np.ndarray, bins: int
) -> Reliability:
    """Of groups of `count` predictions, each of one bin."""
    confidence = confidence.astype(np.float64)
    # A bin holds its upper edge, as in Guo et al.
    place = (np.ceil(confidence * bins).astype(np.int64) - 1).clip(0, bins - 1)
    total = np.bincount(place, count, bins)
    held = np.flatnonzero(total)
    means = [
        np.bincount(place, values * count, bins)[held] / total[held]
        for values in (confidence, accuracy)
    ]
    return Reliability(tuple(means[0]), tuple(means[1]), tuple(total[held].astype(int).tolist()))
