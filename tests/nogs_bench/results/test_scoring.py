from __future__ import annotations

import math

import numpy as np
import pytest

from nogs_bench.errors import NogsError
from nogs_bench.results.curves import (
    Time,
    area_under_curve,
    iterations_to_accuracy,
    iterations_to_cross_entropy,
    time_to_target,
)
from nogs_bench.results.intervals import (
    bootstrap,
    estimate,
    geometric_mean,
    mean,
    resamples,
    speed_up,
    speed_up_of_means,
    tail,
)
from nogs_bench.results.result import Point, save_result
from nogs_bench.results.scoring import score, score_runs
from results import run_result


def _curve(*points: tuple[int, float, float]) -> list[Point]:
    return [Point(iteration=i, cross_entropy=ce, accuracy=a) for i, ce, a in points]


CURVE = _curve(
    (0, 2.0, 0.1), (100, 0.52, 0.70), (200, 0.505, 0.695), (300, 0.5, 0.71), (400, 0.6, 0.5)
)


def test_the_papers_criteria_by_hand():
    assert iterations_to_cross_entropy(CURVE, 0.01) == 200  # 0.505 <= 0.50 + 0.01 < 0.52
    assert iterations_to_cross_entropy(CURVE, 0.1) == 100
    assert iterations_to_cross_entropy(CURVE, 0.0) == 300
    assert iterations_to_accuracy(CURVE, 0.0105) == 100  # 0.70 >= 0.71 - 0.0105
    assert iterations_to_accuracy(CURVE, 0.005) == 300


def test_time_to_target_and_its_bounds():
    assert time_to_target(CURVE, 0.7) == Time(100, 100)
    assert time_to_target(CURVE, 0.705) == Time(300, 300)
    assert time_to_target(CURVE, 0.05) == Time(0, 100)
    never = time_to_target(CURVE, 0.8)
    assert never == Time(400, math.inf)
    assert never.censored


def test_speed_up_by_hand():
    exact = speed_up([Time(400, 400), Time(900, 900)], [Time(100, 100)] * 2, [0, 1])
    assert exact.exact
    assert exact.at_least == pytest.approx(6.0)  # sqrt(4 * 9)
    assert (exact.low, exact.high) == (pytest.approx(4.0), pytest.approx(9.0))

    slow_baseline = speed_up([Time(800, math.inf)], [Time(100, 100)], [0])
    assert slow_baseline.at_least == pytest.approx(8.0)
    assert slow_baseline.at_most is None
    assert slow_baseline.high is None

    slow_method = speed_up([Time(200, 200)], [Time(800, math.inf)], [0])
    assert (slow_method.at_least, slow_method.at_most) == (0.0, pytest.approx(0.25))

    at_once = speed_up([Time(400, 400)], [Time(0, 100)], [0])
    assert (at_once.at_least, at_once.at_most) == (pytest.approx(4.0), None)
    assert speed_up([], [], []) is None


def test_the_bootstrap_of_two_values_by_enumeration():
    # Resamples of (0, 1) have means 0, 1/2, 1/2, 1 with equal probability: 0 and 1 are well within
    # the outer 2.5 %.
    assert bootstrap(np.array([0.0, 1.0]), mean) == (0.0, 1.0)
    assert bootstrap(np.array([3.0]), mean) == (3.0, 3.0)


def test_few_seeds_are_resampled_in_every_way():
    every = {tuple(row) for row in resamples(3).tolist()}
    assert len(every) == len(resamples(3)) == 27
    # Student's t at 97.5 % with 4 degrees of freedom is 2.776445; times sqrt(5/4) it is 3.10416,
    # and the normal distribution has 0.000954 beyond that.
    assert tail(5) == pytest.approx(0.000954, abs=1e-6)
    assert tail(10_000) == pytest.approx(0.025, abs=1e-4)


def test_intervals_cover_as_often_as_they_say():
    """95 % intervals of 5 normal seeds; plain percentiles would cover 83 %."""
    draws = np.random.default_rng(0).normal(size=(400, 5))
    covered = [low <= 0 <= high for low, high in (bootstrap(draw, mean) for draw in draws)]
    assert 0.9 <= np.mean(covered) <= 0.99


def test_geometric_means_of_extremes():
    rows = np.array([[2.0, 8.0], [0.0, 8.0], [2.0, math.inf], [0.0, math.inf]])
    assert geometric_mean(rows).tolist() == [pytest.approx(4.0), 0.0, math.inf, math.inf]


def test_the_area_under_a_curve_by_hand():
    # Trapezoids of widths 100 and 300: (0 + .4) / 2 * 100 + (.4 + .8) / 2 * 300 = 200, of 400.
    curve = _curve((0, 1.0, 0.0), (100, 1.0, 0.4), (400, 1.0, 0.8))
    assert area_under_curve(curve) == pytest.approx(0.5)


def test_the_speed_up_of_means_by_hand():
    means = speed_up_of_means([Time(400, 400), Time(900, 900)], [Time(100, 100)] * 2, [0, 1])
    assert (means.at_least, means.at_most) == (pytest.approx(6.5), pytest.approx(6.5))
    assert (means.low, means.high) == (pytest.approx(4.0), pytest.approx(9.0))
    censored = speed_up_of_means(
        [Time(800, math.inf), Time(400, 400)], [Time(100, 100), Time(200, 200)], [0, 1]
    )
    assert (censored.at_least, censored.at_most) == (pytest.approx(4.0), None)
    assert (censored.low, censored.high) == (pytest.approx(2.0), None)
    slow = speed_up_of_means([Time(300, 300)], [Time(600, math.inf)], [0])
    assert (slow.at_least, slow.at_most) == (0.0, pytest.approx(0.5))


def test_the_bootstrap_of_many_values_is_the_normal_interval():
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap(values, mean)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_an_estimate_keeps_its_values():
    made = estimate([1, 2, 6], censored=1)
    assert (made.mean, made.values, made.censored) == (3.0, (1.0, 2.0, 6.0), 1)


def test_scores_of_a_folder(tmp_path):
    # Target of cluttered-digits from scratch; accuracies around it by construction.
    from nogs_bench.tasks.task import get_task

    target = get_task("cluttered-digits").protocol("scratch").target_accuracy
    high, low = min(1.0, target + 0.1), target - 0.05
    runs = [
        run_result("ram", 0, (0.1, 0.2, low, high)),
        run_result("ram", 1, (0.1, 0.2, 0.3, low)),
        run_result("ps-nogs", 0, (0.1, high, high, high)),
        run_result("ps-nogs", 1, (0.1, 0.2, high, high)),
        run_result("ps-nogs", 2, (0.1, 0.2, 0.3, high)),
    ]
    for run in runs:
        save_result(run, tmp_path)
    ram, nogs = score(tmp_path).rows
    assert (ram.method, nogs.method) == ("ram", "ps-nogs")
    assert ram.time_to_target.values == (750, 750)
    assert ram.time_to_target.censored == 1
    assert ram.speed_up is None
    assert nogs.time_to_target.values == (250, 500, 750)
    assert nogs.time_to_target.mean == 500
    assert nogs.speed_up.seeds == (0, 1)
    assert nogs.speed_up.at_least == pytest.approx(math.sqrt(3 * 1.5))
    assert nogs.speed_up.at_most is None
    assert nogs.time_bounds == ((250, 250), (500, 500), (750, 750))
    assert ram.times == [750, math.inf]
    # RAM: (750, more than 750); PS-NOGS of the same seeds: (250, 500).
    assert nogs.speed_up_of_means.at_least == pytest.approx(1500 / 750)
    assert nogs.test_gain.values == pytest.approx((0.0, high - low))
    assert (ram.rank, nogs.rank) == ((1, 2), (1, 2))
    assert nogs.test_accuracy.mean == pytest.approx(high)
    assert score(tmp_path).as_json()[1]["method"] == "ps-nogs"


def test_results_that_cannot_be_compared_are_refused():
    ram = run_result("ram")
    with pytest.raises(NogsError, match="version 99"):
        score_runs([ram.model_copy(update={"task_version": 99})])
    longer = run_result("ps-nogs", 0, (0.1, 0.2, 0.3, 0.4, 0.5))
    with pytest.raises(NogsError, match=r"ram.*ran 750 iterations, .*1000"):
        score_runs([ram, longer])
