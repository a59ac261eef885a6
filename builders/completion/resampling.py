"""Weights, effective sample sizes and resampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

STEPS = 73  # of `least_sigma_where`


def normalise(log_weights: np.ndarray) -> np.ndarray:
    """Weights that sum to 1, from log-weights (n,) of any offset."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective_sample_size(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2 (Kish 1965), in 1 .. n, of non-negative weights (n,)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def systematic(weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: int64 (count,) indices, in random order.

    Index i appears floor or ceil of `count * weights[i]` times (Kitagawa 1996).
    """
    edges = np.cumsum(weights, dtype=np.float64)
    points = (rng.random() + np.arange(count)) / count * edges[-1]
    chosen = np.searchsorted(edges, points, side="right").clip(max=len(weights) - 1)
    return rng.permutation(chosen)


def sigma_where(
    log_weights: Callable[[float], np.ndarray],
    distances: np.ndarray,
    wanted: float,
) -> float:
    """The sigma at which weights have the wanted effective sample size.

    Brent's method on the logarithms of both, over a fixed range and at most 60 evaluations, so
    it always ends; the effective sample size grows with sigma. Returns infinity (all weights equal)
    where `wanted` is n or more, or no distance differs from another.

    **Arguments**

    - `log_weights`: maps sigma^2 to log-weights (n,).
    - `distances`: squared distances (n,) that set the range, in the square of sigma's unit.
    """
    spread = float(distances.max() - distances.min())
    if wanted >= len(distances) or spread == 0:
        return math.inf

    excess = _excess(log_weights, wanted)
    low, high = _range(spread)
    for end, reached in ((low, excess(low) >= 0), (high, excess(high) <= 0)):
        if reached:
            return math.exp(end)
    root, _ = brentq(excess, low, high, xtol=1e-6, maxiter=60, full_output=True, disp=False)
    return math.exp(root)


def least_sigma_where(
    log_weights: Callable[[float], np.ndarray], distances: np.ndarray, wanted: float, most: float
) -> float:
    """`sigma_where` for importance weights, whose effective sample size need not grow with sigma.

    Where sigma is large, they undo the proposal, and a few copies that it hardly ever draws weigh
    most. The least of `STEPS` sigmas up to `most` that has the wanted size is taken, and refined;
    if none has it, the one that comes nearest. Infinity where no distance differs from another.
    Arguments and units as there.
    """
    spread = float(distances.max() - distances.min())
    if spread == 0:
        return math.inf
    excess = _excess(log_weights, wanted)
    low, high = _range(spread)
    logs = np.linspace(low, min(high, math.log(most)), STEPS)
    excesses = [excess(log_sigma) for log_sigma in logs]
    first = next((n for n, value in enumerate(excesses) if value >= 0), None)
    if first is None or first == 0:
        return math.exp(logs[int(np.argmax(excesses)) if first is None else 0])
    root, _ = brentq(
        excess, logs[first - 1], logs[first], xtol=1e-6, maxiter=60, full_output=True, disp=False
    )
    return math.exp(root)


def _excess(log_weights: Callable[[float], np.ndarray], wanted: float) -> Callable[[float], float]:
    """By the logarithm of sigma, that of the effective sample size over the wanted one."""

    def excess(log_sigma: float) -> float:
        size = effective_sample_size(normalise(log_weights(math.exp(2 * log_sigma))))
        return math.log(size / wanted)

    return excess


def _range(spread: float) -> tuple[float, float]:
    """Least and greatest logarithm of sigma that are tried."""
    middle = math.log(spread) / 2
    return middle - 12, middle + 6
