"""From one value a seed to a figure and its interval. Used wherever a figure is shown.

Two kinds of values come in. Accuracies and the like are numbers, and give an `Estimate`. Times are
`Span`s: a target is passed between two validations, or not by the end. They give a `SpanEstimate`,
and so do their ratios; both ends go through everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean, median
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Span:
    """A quantity that is known to lie in `low .. high`: `high` is infinite where nothing bounds it,
    `low` is 0 where all that is known is that it is less."""

    low: float
    high: float

    @property
    def reached(self) -> bool:
        """Whether there is an upper bound: of a time, whether the run got there."""
        return math.isfinite(self.high)

    @property
    def known(self) -> bool:
        """Whether anything at all is known of it."""
        return self.low > 0 or self.reached

    @property
    def bounded(self) -> bool:
        """Whether its logarithm is known at both ends."""
        return self.low > 0 and self.reached

    def over(self, other: Span) -> Span:
        """This divided by the other: from least over greatest to greatest over least."""
        low = 0.0 if math.isinf(other.high) else self.low / other.high
        high = math.inf if other.low == 0 else self.high / other.low
        return Span(low, high)

    def plus(self, number: float) -> Span:
        """Both ends greater by `number`."""
        return Span(self.low + number, self.high + number)


@dataclass(frozen=True)
class Estimate:
    """The mean of one number a seed, with its 95 % interval (Student's t).

    `low`, `high` are None with one seed, which says nothing of the spread. `values`: one a seed, in
    the order of `ScoreRow.seeds`.
    """

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class SpanEstimate:
    """The middle of one span a seed, with its interval.

    - `middle`: where the seeds' own middle lies (`middle`).
    - `interval`: where the median of all possible seeds lies, in at least 95 % of cases
      (`median_interval`); None where the seeds do not say.
    - `values`: one a seed, in the order of `seeds`.
    - `unlearned`: how many of these runs never became better than a constant answer.
    """

    middle: Span
    interval: Span | None
    values: tuple[Span, ...]
    seeds: tuple[int, ...]
    unlearned: int = 0

    @property
    def missed(self) -> int:
        """How many of the runs did not get there."""
        return sum(not value.reached for value in self.values)


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of one number for each seed.

    mean +- t_{.975, n-1} s / sqrt(n), s the standard deviation with n - 1: exact where seeds are
    normal. Raises `ValueError` if there is none.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise ValueError("no values to estimate from")
    centre, own = float(array.mean()), tuple(map(float, array))
    if len(array) == 1:
        return Estimate(centre, None, None, own)
    reach = student(len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return Estimate(centre, centre - reach, centre + reach, own)


@dataclass(frozen=True)
class MeasuredLevel:
    """What is known of a level that times are measured to, and that is itself a mean over runs.

    - `runs`: how many. With one, nothing is known of its error.
    - `near`: the same times to the level one standard error lower, and one higher.
    - `far`: to the ends of its interval, as wide for few runs as Student's t is, with the normal
      distribution's for many: t / 1.96 standard errors lower, and higher.
    """

    runs: int
    near: tuple[Sequence[Span], Sequence[Span]]
    far: tuple[Sequence[Span], Sequence[Span]]


def estimate_spans(
    values: Sequence[Span],
    seeds: Sequence[int],
    unlearned: int = 0,
    level: MeasuredLevel | None = None,
) -> SpanEstimate | None:
    """Middle and interval of one span for each seed; None if there is none.

    `level`: of times to a level that is itself measured, see `median_interval`.
    """
    if not values:
        return None
    found, interval = tuple(values), median_interval(values, level)
    return SpanEstimate(middle(found), interval, found, tuple(seeds), unlearned)


def middle(values: Sequence[Span]) -> Span:
    """Where the middle of n spans lies.

    The geometric mean, if all are bounded: exp(mean log low) to exp(mean log high). Else the
    median: that of the lower ends to that of the upper ends, which a few unreached times leave
    finite.
    """
    bounded = all(value.bounded for value in values)
    return geometric_span(values) if bounded else median_span(values)


def mean_span(values: Sequence[Span]) -> Span:
    """Where the mean lies: unbounded if one of them is."""
    return Span(fmean(v.low for v in values), fmean(v.high for v in values))


def median_span(values: Sequence[Span]) -> Span:
    """Where the median lies."""
    return Span(median(v.low for v in values), median(v.high for v in values))


def geometric_span(values: Sequence[Span]) -> Span:
    """Where the geometric mean lies. An end is known only if it is known of each of them."""
    lows, highs = [v.low for v in values], [v.high for v in values]
    return Span(
        geometric_mean(lows) if min(lows) > 0 else 0.0,
        geometric_mean(highs) if max(highs) < math.inf else math.inf,
    )


def median_interval(values: Sequence[Span], level: MeasuredLevel | None = None) -> Span | None:
    """Where the median of all possible seeds lies, in at least 95 % of cases, from n spans.

    **All bounded**: Student's t on logarithms, exact where these are normal and points. With x the
    middles of log spans and h their half-widths, no choice of values within the spans gives a
    greater standard deviation than s(x) + sqrt(sum h^2 / (n - 1)); the interval takes that, from
    the mean of the lower to the mean of the upper ends.

    **Not all**: the sign test, exact for any distribution: from the k-th least lower end to the
    k-th greatest upper end, where P(Binomial(n, 1/2) < k) is at most 2.5 %. If that leaves an end
    open, at most 5 %, unless this has both. None where that leaves nothing (with fewer than 5).

    **A level that is itself measured**: if all are bounded at the `near` levels too, half the
    difference of the means of x joins the standard error, as a root of squares (the delta method;
    degrees of freedom by Welch and Satterthwaite). Else the interval reaches over those at the
    level and the `far` ones. None if the level is of one run.
    """
    if len(values) < 2 or (level is not None and level.runs < 2):
        return None
    if level is not None and not _all_bounded(values, *level.near):
        found = [median_interval(each) or Span(0.0, math.inf) for each in (values, *level.far)]
        over = Span(min(each.low for each in found), max(each.high for each in found))
        return over if over.known else None
    if _all_bounded(values):
        return _on_logarithms(values, level)
    two_sided = sign_interval(values)
    if two_sided.bounded:
        return two_sided
    one_sided = _by_signs(values, 1 - LEVEL)
    # Both ends, each wrong in 5 % of cases, would together be so in 10 %.
    known = two_sided if one_sided.bounded else one_sided
    return known if known.known else None


def _all_bounded(*several: Sequence[Span]) -> bool:
    return all(value.bounded for values in several for value in values)


def _on_logarithms(values: Sequence[Span], level: MeasuredLevel | None) -> Span:
    low, high, x = _logs(values)
    half, n = (high - low) / 2, len(values)
    spread = float(x.std(ddof=1)) + math.sqrt(float((half**2).sum()) / (n - 1))
    error, freedom = spread / math.sqrt(n), float(n - 1)
    if level is not None:
        slower, faster = (float(_logs(each)[2].mean()) for each in level.near)
        other = (slower - faster) / 2
        both = math.hypot(error, other)
        if other:
            freedom = both**4 / (error**4 / (n - 1) + other**4 / (level.runs - 1))
        error = both
    reach = student(freedom) * error
    return Span(math.exp(float(low.mean()) - reach), math.exp(float(high.mean()) + reach))


def _logs(values: Sequence[Span]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of bounded spans: lower ends, upper ends, middles."""
    low, high = (np.log([getattr(value, end) for value in values]) for end in ("low", "high"))
    return low, high, (low + high) / 2


def sign_interval(values: Sequence[Span]) -> Span:
    """Where the median of all possible values lies in at least 95 % of cases: the sign test of
    `median_interval`, whether or not all spans are bounded. `Span(0, inf)` of fewer than 6."""
    return _by_signs(values, (1 - LEVEL) / 2)


def _by_signs(values: Sequence[Span], share: float) -> Span:
    """From the k-th least lower end to the k-th greatest upper end, each wrong at most `share`."""
    n = len(values)
    k = max(k for k in range(n // 2 + 1) if k == 0 or _heads(k - 1, n) <= share)
    if k == 0:
        return Span(0.0, math.inf)
    return Span(sorted(v.low for v in values)[k - 1], sorted(v.high for v in values)[n - k])


def ratios(above: Sequence[Span], below: Sequence[Span]) -> list[Span]:
    """Each of `above` over its partner in `below`."""
    return [one.over(other) for one, other in zip(above, below, strict=True)]


def ratio_of_means(above: Sequence[Span], below: Sequence[Span]) -> Span:
    """Mean over mean, as the paper's "factor of 6.8": of these runs, without an interval."""
    return mean_span(above).over(mean_span(below))


def combined(values: Sequence[Span | None]) -> tuple[Span, int] | None:
    """The geometric mean of the values that anything is known of, and how many these are.

    An end is known only if it is known of each of them: of a bound from below and one from above,
    no end is. None if there is no value that anything is known of.
    """
    known = [value for value in values if value is not None and value.known]
    if not known:
        return None
    return geometric_span(known), len(known)


def prediction_interval(values: Sequence[Span], level: float) -> Span | None:
    """Where a further seed lies in `level` of cases: mean +- t s sqrt(1 + 1 / n), s and t as in
    `estimate` and, for spans, `median_interval`; not on logarithms. None where a value is unreached
    or there is one."""
    n = len(values)
    if n < 2 or not all(value.reached for value in values):
        return None
    low, high = (np.array([getattr(v, end) for v in values]) for end in ("low", "high"))
    half = (high - low) / 2
    spread = float((low + half).std(ddof=1)) + math.sqrt(float((half**2).sum()) / (n - 1))
    reach = student(n - 1, level) * spread * math.sqrt(1 + 1 / n)
    return Span(float(low.mean()) - reach, float(high.mean()) + reach)


def plain(value: Any) -> Any:
    """Nested values with null for infinity."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def student(freedom: float, level: float = LEVEL) -> float:
    """Student's t at (1 + level) / 2 with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _heads(most: int, n: int) -> float:
    """P(Binomial(n, 1/2) <= `most`)."""
    from scipy.special import bdtr

    return float(bdtr(most, n, 0.5))
