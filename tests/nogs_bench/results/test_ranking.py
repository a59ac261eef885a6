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


def test_rank_sum_p_by_hand() -> None:
    # Of the 20 ways to deal 3 of 6 ranks, 123 and 456 are as far out as the observed one.
    assert rank_sum_p([1, 2, 3], [7, 8, 9]) == pytest.approx(2 / 20)
    # 5 seeds each: 2 of 252. Two of a kind: certain.
    assert rank_sum_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert rank_sum_p([1, 2], [1, 2]) == 1.0
    # Censored times tie: all of the second group share rank 4.5, so 2 of the 15 deals of two.
    assert rank_sum_p([5, 6], [math.inf] * 4) == pytest.approx(1 / 15)


def test_rank_sum_p_agrees_with_scipy() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    for shift in (0, 1, 2):
        first, second = rng.normal(size=6), rng.normal(size=5) + shift
        expected = mannwhitneyu(first, second, method="exact").pvalue
        assert rank_sum_p(first.tolist(), second.tolist()) == pytest.approx(expected)
    many = rng.normal(size=15), rng.normal(size=15) + 0.7
    drawn = rank_sum_p(many[0].tolist(), many[1].tolist())
    assert drawn == pytest.approx(mannwhitneyu(*many, method="exact").pvalue, abs=0.01)


def test_false_discovery_by_hand() -> None:
    # m = 4: .01 * 4/1, .02 * 4/2, .03 * 4/3, .5 * 4/4, each no more than the next.
    assert false_discovery_adjusted([0.5, 0.01, 0.03, 0.02]) == pytest.approx(
        [0.5, 0.04, 0.04, 0.04]
    )
    assert false_discovery_adjusted([]) == []


def test_ranks_are_ranges_where_seeds_do_not_separate() -> None:
    fast, slow = [100.0, 110, 120, 130, 140], [300.0, 310, 320, 330, 340]
    between = [105.0, 115, 125, 135, 145]
    never = [math.inf] * 5
    assert rank_ranges([fast, slow]) == [(1, 1), (2, 2)]
    assert rank_ranges([slow, fast, between, never]) == [(3, 3), (1, 2), (1, 2), (4, 4)]
    assert rank_ranges([never, never]) == [(1, 2), (1, 2)]
    # Three seeds cannot tell anything at 5 %: the least p-value is 2 in 20.
    assert rank_ranges([fast[:3], slow[:3]]) == [(1, 2), (1, 2)]
    assert rank_ranges([fast]) == [(1, 1)]


def test_seven_methods_of_five_seeds_can_be_told_apart() -> None:
    times = [[1000.0 * i + j for j in range(5)] for i in range(7)]
    assert rank_ranges(times) == [(i, i) for i in range(1, 8)]


def test_equal_methods_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(0)
    boards = [rank_ranges(rng.normal(1000, 100, size=(4, 5)).tolist()) for _ in range(200)]
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
