"""From one value a seed to a mean, a ratio, and an interval that allows for few seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from nogs_bench.results.curves import Time

LEVEL = 0.95
EXACT, DRAWN = 5, 10_000

# Values (..., n) of n seeds -> (...)
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its bootstrap interval.

    - `values`: one for each seed, in the order of `ScoreRow.seeds`.
    - `censored`: how many of them are only known to be greater; if any, mean and interval are
      lower bounds.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    censored: int = 0


@dataclass(frozen=True)
class SpeedUp:
    """How many times sooner than the baseline, over the seeds that both have.

    The truth lies in `at_least .. at_most` (equal unless a time is censored; `at_most` is None
    where nothing bounds it). `low`, `high` (None: unbounded): bootstrap interval over seeds.
    """

    at_least: float
    at_most: float | None
    low: float
    high: float | None
    seeds: tuple[int, ...]

    @property
    def exact(self) -> bool:
        return self.at_least == self.at_most


def speed_up(
    baseline: Sequence[Time], method: Sequence[Time], seeds: Sequence[int]
) -> SpeedUp | None:
    """Geometric mean over paired runs of baseline time / method time, with what is known of it.

    For a pair the ratio lies in baseline.low / method.high .. baseline.high / method.low.
    """
    if not seeds:
        return None
    pairs = list(zip(baseline, method, strict=True))
    least = np.array([own.low / other.high for own, other in pairs])
    most = np.array([own.high / other.low if other.low else math.inf for own, other in pairs])
    return SpeedUp(
        at_least=float(geometric_mean(least)),
        at_most=_finite(float(geometric_mean(most))),
        low=bootstrap(least, geometric_mean)[0],
        high=_finite(bootstrap(most, geometric_mean)[1]),
        seeds=tuple(seeds),
    )


def speed_up_of_means(
    baseline: Sequence[Time], method: Sequence[Time], seeds: Sequence[int]
) -> SpeedUp | None:
    """Mean baseline time / mean method time, as the paper's "factor of 6.8" (section 6).

    Seeds are resampled in pairs.
    """
    if not seeds:
        return None
    slow = np.array([(time.low, time.high) for time in baseline])
    fast = np.array([(time.low, time.high) for time in method])
    rows = resamples(len(seeds))
    least, most = (_ratio_of_means(slow[:, i], fast[:, 1 - i]) for i in (0, 1))
    lows, highs = (_ratio_of_means(slow[rows, i], fast[rows, 1 - i]) for i in (0, 1))
    return SpeedUp(
        at_least=float(least),
        at_most=_finite(float(most)),
        low=interval(lows, len(seeds))[0],
        high=_finite(interval(highs, len(seeds))[1]),
        seeds=tuple(seeds),
    )


def _ratio_of_means(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    above, below = top.mean(-1), bottom.mean(-1)
    ratio = np.full_like(above, np.inf)
    return np.divide(above, below, out=ratio, where=below > 0)


def geometric_mean(values: np.ndarray) -> np.ndarray:
    """exp(mean(log values)) over the last axis; 0 if any is 0, infinite if one is infinite."""
    infinite, zero = np.isinf(values).any(-1), (values == 0).any(-1)
    usual = (values > 0) & np.isfinite(values)
    middle = np.exp(np.log(np.where(usual, values, 1.0)).mean(-1))
    return np.where(infinite, np.inf, np.where(zero, 0.0, middle))


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis."""
    return values.mean(-1)


def estimate(values: Sequence[float], censored: int = 0) -> Estimate:
    """Mean and interval of one value for each seed."""
    array = np.asarray(values, dtype=np.float64)
    low, high = bootstrap(array, mean)
    return Estimate(float(array.mean()), low, high, tuple(map(float, array)), censored)


def bootstrap(values: np.ndarray, statistic: Statistic) -> tuple[float, float]:
    """Expanded percentile bootstrap interval at 95 % of `statistic` over seeds' values (n,).

    With one value, the interval is that value: it says nothing of the spread.
    """
    return interval(statistic(values[resamples(len(values))]), len(values))


def interval(statistics: np.ndarray, n: int) -> tuple[float, float]:
    """The interval at 95 % from a statistic's values (b,) over all `resamples(n)`."""
    ordered = np.sort(statistics)
    last = len(ordered) - 1
    # Order statistics rather than interpolation, which infinities would turn into NaN.
    low = math.floor(tail(n) * last)
    return float(ordered[low]), float(ordered[last - low])


@cache
def resamples(n: int) -> np.ndarray:
    """int64 (b, n): which seeds each resample takes. All n^n for n up to 5, else 10,000 drawn."""
    if n <= EXACT:
        return np.indices((n,) * n).reshape(n, -1).T
    return np.random.default_rng(0).integers(n, size=(DRAWN, n))


@cache
def tail(n: int) -> float:
    """Share of resamples beyond each end: Phi(-t sqrt(n / (n - 1))), t of n - 1 degrees of freedom.

    Plain percentiles (2.5 %) are too narrow for few seeds, since resampling n values understates
    the variance by (n - 1) / n and ignores the t distribution's tails (Hesterberg 2015, section
    4.5 of arXiv:1411.5279).
    """
    from scipy.special import ndtr, stdtrit

    if n == 1:
        return 0.0
    return float(ndtr(stdtrit(n - 1, (1 - LEVEL) / 2) * math.sqrt(n / (n - 1))))


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
