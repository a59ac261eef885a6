from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nogs_bench.results.ranking import (
    Profile,
    false_discovery_adjusted,
    performance_profiles,
    rank_ranges,
    rank_sum_p,
)
from nogs_bench.results.statistics import Span


def at(*times: float) -> list[Span]:
    """Times that are known exactly; infinity: more than 1000."""
    return [Span(1000, math.inf) if math.isinf(each) else Span(each, each) for each in times]


def test_rank_sum_p_by_hand() -> None:
    # Of the 20 ways to deal 3 of 6 ranks, 123 and 456 are as far out as the observed one.
    assert rank_sum_p(at(1, 2, 3), at(7, 8, 9)) == pytest.approx(2 / 20)
    # 5 seeds each: 2 of 252. Two of a kind: certain.
    assert rank_sum_p(at(1, 2, 3, 4, 5), at(6, 7, 8, 9, 10)) == pytest.approx(2 / 252)
    assert rank_sum_p(at(1, 2), at(1, 2)) == 1.0
    # Censored times tie: all of the second group share rank 4.5, so 2 of the 15 deals of two.
    assert rank_sum_p(at(5, 6), at(*[math.inf] * 4)) == pytest.approx(1 / 15)


def test_times_that_may_be_either_way_round_tie() -> None:
    # (0, 100] and (50, 150] overlap; (100, 150] comes after (0, 100].
    early, between, late = Span(0, 100), Span(50, 150), Span(100, 150)
    assert rank_sum_p([early] * 3, [between] * 3) == 1.0
    assert rank_sum_p([early] * 3, [late] * 3) == pytest.approx(2 / 20)
    # A run that ended at 80 without getting there says nothing beside one that got there by 100.
    assert rank_sum_p([Span(80, math.inf)] * 5, [early] * 5) == 1.0
    assert rank_sum_p([Span(100, math.inf)] * 5, [early] * 5) == pytest.approx(2 / 252)


def test_rank_sum_p_agrees_with_scipy() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    for shift in (0, 1, 2):
        first, second = rng.normal(size=6), rng.normal(size=5) + shift
        expected = mannwhitneyu(first, second, method="exact").pvalue
        assert rank_sum_p(at(*first), at(*second)) == pytest.approx(expected)
    many = rng.normal(size=15), rng.normal(size=15) + 0.7
    drawn = rank_sum_p(at(*many[0]), at(*many[1]))
    assert drawn == pytest.approx(mannwhitneyu(*many, method="exact").pvalue, abs=0.01)


def test_false_discovery_by_hand() -> None:
    # m = 4: .01 * 4/1, .02 * 4/2, .03 * 4/3, .5 * 4/4, each no more than the next.
    assert false_discovery_adjusted([0.5, 0.01, 0.03, 0.02]) == pytest.approx(
        [0.5, 0.04, 0.04, 0.04]
    )
    assert false_discovery_adjusted([]) == []


def test_ranks_are_ranges_where_seeds_do_not_separate() -> None:
    fast, slow = at(100, 110, 120, 130, 140), at(300, 310, 320, 330, 340)
    between = at(105, 115, 125, 135, 145)
    never = at(*[math.inf] * 5)
    assert rank_ranges([fast, slow]) == [(1, 1), (2, 2)]
    assert rank_ranges([slow, fast, between, never]) == [(3, 3), (1, 2), (1, 2), (4, 4)]
    assert rank_ranges([never, never]) == [(1, 2), (1, 2)]
    # Three seeds cannot tell anything at 5 %: the least p-value is 2 in 20.
    assert rank_ranges([fast[:3], slow[:3]]) == [(1, 2), (1, 2)]
    assert rank_ranges([fast]) == [(1, 1)]


def test_seven_methods_of_five_seeds_can_be_told_apart() -> None:
    times = [at(*(100.0 * i + j for j in range(5))) for i in range(7)]
    assert rank_ranges(times) == [(i, i) for i in range(1, 8)]


def test_equal_methods_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(500, 100, size=(200, 4, 5))
    boards = [rank_ranges([at(*times) for times in board]) for board in drawn]
    told = [any(rank != (1, 4) for rank in board) for board in boards]
    assert np.mean(told) <= 0.08


def test_performance_profiles_by_hand() -> None:
    profiles = performance_profiles(
        {
            "a": {"x": 100.0, "y": 300.0},
            "b": {"x": 200.0, "y": 100.0},
            "c": {"x": math.inf},
        }
    )
    assert profiles["a"] == Profile((1.0, 3.0), 2)
    assert profiles["b"].ratios == (1.0, 2.0)
    assert profiles["c"] == Profile((), 2)
    assert [profiles["a"].share(tau) for tau in (1, 2.9, 3, 10)] == [0.5, 0.5, 1.0, 1.0]
    # The area from 1 to 10: ((10 - 1) + (10 - 3)) / 9 / 2.
    assert profiles["a"].score == pytest.approx(16 / 18)
    assert (profiles["c"].score, profiles["c"].share(10)) == (0.0, 0.0)


def test_a_profile_s_score_is_its_area() -> None:
    profile = Profile((1.0, 1.7, 4.2, 30.0), 5)
    taus = np.linspace(1, 10, 9_001)
    area = np.mean([profile.share(tau) for tau in taus])
    assert profile.score == pytest.approx(area, abs=1e-3)
    assert all(a <= b for a, b in itertools.pairwise(profile.share(tau) for tau in (1, 2, 5, 40)))
