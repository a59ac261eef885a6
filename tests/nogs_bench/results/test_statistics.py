from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nogs_bench.results.statistics import (
    MeasuredLevel,
    Span,
    combined,
    estimate,
    geometric_span,
    mean_span,
    median_interval,
    median_span,
    middle,
    prediction_interval,
    ratio_of_means,
    ratios,
)


def test_student_s_interval_by_hand():
    # Of 1, 2, 3: t(2) at 97.5 % is 4.302653, s = 1, sqrt(3) = 1.732051.
    found = estimate([1, 2, 3])
    assert found.mean == 2
    assert (found.low, found.high) == (pytest.approx(2 - 2.484138), pytest.approx(2 + 2.484138))
    assert found.values == (1, 2, 3)
    one = estimate([5])
    assert (one.mean, one.low, one.high) == (5, None, None)
    with pytest.raises(ValueError, match="no values"):
        estimate([])


def test_student_s_interval_agrees_with_scipy():
    from scipy.stats import t

    values = np.random.default_rng(0).normal(size=7)
    low, high = t.interval(0.95, 6, values.mean(), values.std(ddof=1) / math.sqrt(7))
    found = estimate(values.tolist())
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_spans_divide_from_least_to_greatest():
    assert Span(100, 200).over(Span(10, 50)) == Span(2, 20)
    assert Span(100, 200).over(Span(0, 50)) == Span(2, math.inf)
    assert Span(100, math.inf).over(Span(10, 50)) == Span(2, math.inf)
    assert Span(100, 200).over(Span(400, math.inf)) == Span(0, 0.5)
    assert Span(100, math.inf).over(Span(400, math.inf)) == Span(0, math.inf)
    assert not Span(0, math.inf).known


def test_the_middle_by_hand():
    assert middle([Span(1, 4), Span(4, 9)]) == Span(pytest.approx(2), pytest.approx(6))
    # One of three unreached: the median is known all the same.
    assert middle([Span(1, 2), Span(5, math.inf), Span(3, 4)]) == Span(3, 4)
    assert middle([Span(5, math.inf), Span(7, math.inf), Span(3, 4)]) == Span(5, math.inf)
    assert middle([Span(0, 2), Span(0, 2), Span(3, 4)]) == Span(0, 2)
    assert middle([Span(1, 2), Span(3, math.inf)]) == Span(2, math.inf)


def test_the_interval_of_points_is_t_on_logarithms():
    # Of e^1, e^2, e^3, as above.
    found = median_interval([Span(math.e**k, math.e**k) for k in (1, 2, 3)])
    assert math.log(found.low) == pytest.approx(2 - 2.484138)
    assert math.log(found.high) == pytest.approx(2 + 2.484138)
    assert median_interval([Span(5, 5)]) is None


def points(*logs):
    return [Span(math.exp(x), math.exp(x)) for x in logs]


def test_the_error_of_a_level_joins_that_of_the_seeds():
    """Logarithms 1, 2, 3 have a standard error of 1 / sqrt(3); the level one of (3 - 1) / 2."""
    lower, higher = points(2, 3, 4), points(0, 1, 2)
    found = median_interval(points(1, 2, 3), MeasuredLevel(3, (lower, higher), ((), ())))
    # Both have 2 degrees of freedom: together (1/3 + 1)^2 / (1/9 / 2 + 1 / 2) = 3.2.
    reach = stats.t.ppf(0.975, 3.2) * math.sqrt(1 / 3 + 1)
    assert (math.log(found.low), math.log(found.high)) == (
        pytest.approx(2 - reach),
        pytest.approx(2 + reach),
    )
    assert median_interval(points(1, 2, 3), MeasuredLevel(1, ((), ()), ((), ()))) is None
    # Where one of them is never there, over those at the level and at the far ones.
    never = [*points(3, 4, 5, 6), Span(900, math.inf)]
    own, far = points(1, 2, 3, 4, 5), (never, points(-1, 0, 1, 2, 3))
    found = median_interval(own, MeasuredLevel(5, (never, own), far))
    assert found == Span(median_interval(far[1]).low, math.inf)
    assert found.low < median_interval(own).low


def test_no_choice_within_the_spans_has_an_interval_beyond_theirs():
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        low = np.exp(rng.normal(5, 0.5, n))
        spans = [Span(a, a * b) for a, b in zip(low, np.exp(rng.uniform(0, 0.7, n)), strict=True)]
        whole = median_interval(spans)
        for share in itertools.product((0, 0.3, 1), repeat=n):
            chosen = [
                Span(v, v)
                for v in (s.low + w * (s.high - s.low) for s, w in zip(spans, share, strict=True))
            ]
            part = median_interval(chosen)
            assert whole.low <= part.low * (1 + 1e-12)
            assert part.high <= whole.high * (1 + 1e-12)


def test_seeds_that_all_pass_at_one_validation_are_not_known_to_the_digit():
    """The spread within a validation period is not 0 because nobody looked."""
    found = median_interval([Span(50, 100)] * 3)
    assert found.low < 50
    assert found.high > 100


def test_the_interval_of_unreached_times_is_the_sign_test_s():
    never = Span(900, math.inf)
    reached = [Span(100 * k, 100 * k + 50) for k in range(1, 10)]
    # All five medians lie below the least with 1 / 32: one-sided, less than 5 %.
    assert median_interval([*reached[:4], never]) == Span(100, math.inf)
    # With four it would be 1 / 16.
    assert median_interval([*reached[:3], never]) is None
    # Of ten, the second from either end, 11 / 1024 each; with two unreached, the lower end alone.
    assert median_interval([*reached, never]) == Span(200, 950)
    assert median_interval([*reached[:8], never, never]) == Span(200, math.inf)
    assert median_interval([never] * 5) == Span(900, math.inf)
    assert median_interval([never] * 3) is None
    # Passed before the first validation: the same from the other side.
    assert median_interval([Span(0, 50)] * 5) == Span(0, 50)


def test_means_say_what_is_known_of_them():
    assert ratio_of_means([Span(400, 400), Span(900, 900)], [Span(100, 100)] * 2) == Span(6.5, 6.5)
    slow = [Span(800, math.inf), Span(400, 400)]
    assert ratio_of_means(slow, [Span(100, 100), Span(200, 200)]) == Span(4, math.inf)
    assert ratios(slow, [Span(100, 100), Span(200, 200)]) == [Span(8, math.inf), Span(2, 2)]
    # RAM+: 1.4 on two boards, nothing known on the third: no 0 enters the mean.
    board = Span(1.4, 1.4)
    found, count = combined([board, board, Span(0, math.inf), None])
    assert (found.low, found.high, count) == (pytest.approx(1.4), pytest.approx(1.4), 2)
    # A bound makes a bound: 3.6 must show a ">".
    found, count = combined([Span(2, 2), Span(8, math.inf)])
    assert (found, count) == (Span(4, math.inf), 2)
    # Something is known of both boards, and nothing of their mean.
    assert combined([Span(2, math.inf), Span(0, 0.5)]) == (Span(0, math.inf), 2)
    assert combined([None, Span(0, math.inf)]) is None


def test_prediction_intervals_by_hand():
    # Of 1, 2, 3: t(2) at 97.5 % is 4.3027, s = 1, sqrt(4/3) = 1.1547.
    points = [Span(v, v) for v in (1.0, 2.0, 3.0)]
    found = prediction_interval(points, 0.95)
    assert (found.low, found.high) == (
        pytest.approx(2 - 4.9683, abs=1e-3),
        pytest.approx(6.9683, abs=1e-3),
    )
    assert prediction_interval(points[:1], 0.95) is None
    assert prediction_interval([*points, Span(3, math.inf)], 0.95) is None


def test_spans_of_means_are_unbounded_where_one_is() -> None:
    assert mean_span([Span(1, 3), Span(3, 5)]) == Span(2, 4)
    assert mean_span([Span(1, 3), Span(3, math.inf)]) == Span(2, math.inf)
    spans = [Span(1, 3), Span(4, math.inf), Span(0, 2)]
    assert median_span(spans) == Span(1, 3)
    found = geometric_span([Span(2, 8), Span(8, 8)])
    assert (found.low, found.high) == pytest.approx((4, 8))
    assert geometric_span([Span(0, 8), Span(8, math.inf)]) == Span(0, math.inf)
