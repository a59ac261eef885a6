from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from nogs_bench.errors import NogsError
from nogs_bench.results.configuration import DatasetInfo, PretrainingInfo
from nogs_bench.results.curves import (
    area_under_curve,
    convergence_of_accuracy,
    convergence_of_cross_entropy,
    learned,
    settled_accuracy,
    settled_cross_entropy,
    time_to_accuracy,
)
from nogs_bench.results.result import ClassAccuracy, Point, RunResult, StepMetrics
from nogs_bench.results.scoring import score, score_runs
from nogs_bench.results.scoring.times import constant_reaches
from nogs_bench.results.statistics import Span
from nogs_bench.results.storage import save_result
from nogs_bench.tasks.task import get_task
from results import run_result


def _curve(*points: tuple[int, float, float]) -> list[Point]:
    return [Point(iteration=i, cross_entropy=ce, accuracy=a) for i, ce, a in points]


CURVE = _curve(
    (0, 2.0, 0.1), (100, 0.52, 0.70), (200, 0.505, 0.695), (300, 0.5, 0.71), (400, 0.6, 0.5)
)
PRETRAINING = PretrainingInfo(
    iterations=300, learning_rate=1e-3, evaluation_period=100, glimpses="uniform"
)


def test_the_papers_criteria_by_hand():
    # 0.505 <= 0.50 + 0.01 < 0.52, between the validations at 100 and 200.
    assert settled_cross_entropy(CURVE, 0.01) == Span(100, 200)
    assert settled_cross_entropy(CURVE, 0.1) == Span(0, 100)
    assert settled_cross_entropy(CURVE, 0.0) == Span(200, 300)
    assert settled_accuracy(CURVE, 0.01) == Span(0, 100)  # 0.70 >= 0.71 - 0.01
    assert settled_accuracy(CURVE, 0.005) == Span(200, 300)


@pytest.mark.parametrize("right", range(1, 100))
def test_a_hundredth_of_a_hundred_images_is_one_image(right):
    """In binary .06 is less than .07 - .01, and so are others: by rounding alone they came late."""
    curve = _curve((0, 2.0, 0.0), (100, 1.0, right / 100), (200, 0.9, (right + 1) / 100))
    assert settled_accuracy(curve, 0.01) == Span(0, 100)


def test_a_time_lies_between_two_validations():
    assert time_to_accuracy(CURVE, 0.7) == Span(0, 100)
    assert time_to_accuracy(CURVE, 0.705) == Span(200, 300)
    assert time_to_accuracy(CURVE, 0.05) == Span(0, 100)
    balanced = [p.model_copy(update={"balanced_accuracy": p.accuracy / 2}) for p in CURVE]
    assert time_to_accuracy(balanced, 0.3525, "balanced_accuracy") == Span(200, 300)
    assert not time_to_accuracy(CURVE, 0.1, "balanced_accuracy").reached  # not recorded
    never = time_to_accuracy(CURVE, 0.8)
    assert never == Span(400, math.inf)
    assert not never.reached


def test_a_run_that_is_still_getting_better_has_not_converged():
    """Its length is what the criterion would measure: half the run, half the time."""
    falling = [(100 * i, 2.0 - 0.01 * i, 0.1 + 0.005 * i) for i in range(101)]
    for length in (25, 50, 100):
        curve = _curve(*falling[: length + 1])
        found = convergence_of_cross_entropy(curve, 0.01, classes=10)
        assert found.learned
        assert not found.time.reached  # and not 2,400, 4,900 or 9,900
        assert found.time.low == 100 * (length - 2)
    flat = _curve(*falling[:51], *((100 * i, 1.5, 0.35) for i in range(51, 101)))
    assert convergence_of_cross_entropy(flat, 0.01, classes=10).time == Span(4_800, 4_900)


def test_a_run_that_never_learns_has_not_converged_at_0():
    # RAM on photographs of faces: two classes, never better than ln 2 = .693.
    curve = _curve((0, 0.694, 0.5), (1000, 0.697, 0.5), (2000, 0.70, 0.51))
    for found in (
        convergence_of_cross_entropy(curve, 0.01, 2),
        convergence_of_accuracy(curve, 0.01, 2),
    ):
        assert not found.learned
        assert found.time == Span(2000, math.inf)
    # With 9 of 10 images of one class, a constant answer has .325 nats, which .4 does not beat.
    counts = (ClassAccuracy(images=90, accuracy=1.0), ClassAccuracy(images=10, accuracy=0.0))
    last = Point(
        iteration=2000, cross_entropy=0.4, accuracy=0.9, balanced_accuracy=0.5, classes=counts
    )
    unbalanced = [*_curve((0, 0.69, 0.5), (1000, 0.5, 0.9)), last]
    assert not learned(unbalanced, 2)
    assert learned([*unbalanced[:2], last.model_copy(update={"cross_entropy": 0.32})], 2)


def test_the_area_under_a_curve_by_hand():
    # Trapezoids of widths 100 and 300: (0 + .4) / 2 * 100 + (.4 + .8) / 2 * 300 = 200, of 400.
    curve = _curve((0, 1.0, 0.0), (100, 1.0, 0.4), (400, 1.0, 0.8))
    assert area_under_curve(curve) == pytest.approx(0.5)


def _with(run: RunResult, **settings: object) -> RunResult:
    changed = run.hyperparameters.model_copy(update=settings)
    return run.model_copy(update={"hyperparameters": changed})


def test_scores_of_a_folder(tmp_path):
    # Target of cluttered-digits from scratch; accuracies around it by construction.
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
    assert ram.time_to_target.values == (Span(500, 750), Span(750, math.inf))
    assert ram.time_to_target.missed == 1
    assert ram.speed_ups == {}
    assert nogs.time_to_target.values == (Span(0, 250), Span(250, 500), Span(500, 750))
    speed_up = nogs.speed_ups["time_to_target"]
    assert speed_up.seeds == (0, 1)
    # 500 .. 750 over 0 .. 250, and 750 .. infinity over 250 .. 500.
    assert speed_up.values == (Span(2, math.inf), Span(1.5, math.inf))
    assert (speed_up.middle.low, speed_up.middle.high) == (1.75, math.inf)
    assert speed_up.interval is None
    assert nogs.ratio_of_means["time_to_target"] == Span(1250 / 750, math.inf)
    assert nogs.test_gain.values == pytest.approx((0.0, high - low))
    # Less RAM's of the same seed: 0, high - .2, high - low, 0 and 0, 0, high - .3, high - low.
    first = (high - 0.2 + high - low) / 3
    second = (high - 0.3 + (high - low) / 2) / 3
    assert nogs.area_gain.values == pytest.approx((first, second))
    assert ram.area_gain is None
    assert (ram.rank, nogs.rank) == ((1, 2), (1, 2))
    assert nogs.test_accuracy.mean == pytest.approx(high)
    plain = score(tmp_path).as_json()
    assert plain[1]["method"] == "ps-nogs"
    assert plain[0]["time_to_target"]["values"][1] == {"low": 750, "high": None}


def test_as_good_as_ram_ever_gets_by_hand():
    # Cross-entropies are 2 - 2 accuracy. RAM's least: 2 - 1.4 = .6 and 2 - 1.2 = .8, mean .7.
    runs = [
        run_result("ram", 0, (0.1, 0.2, 0.3, 0.7)),
        run_result("ram", 1, (0.1, 0.2, 0.6, 0.6)),
        run_result("ps-nogs", 0, (0.1, 0.655, 0.7, 0.6)),
        run_result("ps-nogs", 1, (0.1, 0.2, 0.3, 0.8)),
    ]
    ram, nogs = score_runs(runs).rows
    assert ram.level == pytest.approx(0.71)
    assert ram.level_accuracy == pytest.approx(0.64)
    assert ram.as_good.values == (Span(500, 750), Span(750, math.inf))
    # 2 - 1.31 = .69 is within, by the first validation.
    assert nogs.as_good.values == (Span(0, 250), Span(500, 750))
    assert nogs.headline.values == (Span(2, math.inf), Span(1, math.inf))


def test_nothing_is_as_good_as_ram_where_ram_never_learned():
    runs = [run_result("ram", 0, (0.0, 0.0, 0.0, 0.0)), run_result("ps-nogs", 0)]
    worse = tuple(p.model_copy(update={"cross_entropy": 2.4}) for p in runs[0].curve)
    ram, nogs = score_runs([runs[0].model_copy(update={"curve": worse}), runs[1]]).rows
    assert ram.convergence.unlearned == 1
    assert nogs.as_good is None
    assert nogs.headline is None


def test_a_level_that_a_constant_answer_reaches_is_none():
    """RAM gets .0026 nats below ln 10, and .5 points above a tenth: within the tolerance."""
    runs = [run_result("ram", 0, (0.1, 0.1, 0.105, 0.1)), run_result("ps-nogs", 0)]
    ram, nogs = score_runs([_with_nats(runs[0], 2.31, 2.3, 2.31, 2.31), runs[1]]).rows
    assert ram.convergence_cross_entropy.unlearned == 0
    for name in ("as_good", "as_good_accuracy"):
        assert getattr(ram, name) is None
        assert name not in nogs.speed_ups
    _, nogs = score_runs([_with_nats(runs[0], 2.31, 2.29, 2.31, 2.31), runs[1]]).rows
    assert nogs.as_good is not None
    assert nogs.as_good_accuracy is None


@pytest.mark.parametrize(
    ("judged_by", "target", "reached"),
    [
        ("accuracy", 0.7, True),
        ("accuracy", 0.81, False),
        ("balanced_accuracy", 0.7, False),
        ("balanced_accuracy", 0.5, True),
    ],
)
def test_a_target_that_a_constant_answer_reaches_says_nothing(judged_by, target, reached):
    """80 of 100 images are of one of the two classes."""
    task = replace(get_task("celeba-10k-smiling"), judged_by=judged_by)
    both = tuple(ClassAccuracy(images=n, accuracy=1.0) for n in (80, 20))
    start, last = run_result("ram").curve[0], run_result("ram").curve[-1]
    curve = (start, last.model_copy(update={"classes": both}))
    assert constant_reaches(curve, target, task) is reached
    assert not constant_reaches((start, last), 0.7, task)  # an older format


def test_a_run_that_learned_nothing_has_not_converged_by_the_paper_s_criterion():
    """Its curve is flat, and so within the tolerance of its own best at once."""
    ram, nogs = run_result("ram", 0), run_result("ps-nogs", 0)
    _, row = score_runs([ram, nogs]).rows
    assert row.ratio_of_means["paper"].known
    for flat in (ram, nogs):
        other = nogs if flat is ram else ram
        _, row = score_runs([_with_nats(flat, 2.4, 2.4, 2.4, 2.4), other]).rows
        for name in ("paper", "convergence_cross_entropy"):
            assert not row.ratio_of_means[name].known
        assert not row.speed_ups["convergence_cross_entropy"].middle.known


def test_the_time_to_ram_s_level_counts_how_ram_s_runs_differ():
    """RAM's least are 1 and 2, so the level is 1.51, and its standard error .5."""
    several = (0.1,) * 6
    rams = [_with_nats(run_result("ram", 0, several), 2.3, 2.0, 1.6, 1.0, 1.0, 1.0)]
    rams.append(_with_nats(run_result("ram", 1, several), 2.3, 2.2, 2.1, 2.0, 2.0, 2.0))
    runs = [
        _with_nats(run_result("ps-nogs", seed, several), 2.3, 2.2, 1.7, 1.3, 0.9, 0.9)
        for seed in (0, 1)
    ]
    _, row = score_runs([*rams, *runs]).rows
    assert row.as_good.values == (Span(500, 750),) * 2
    # At 1.01 the runs pass between 750 and 1000, at 2.01 between 250 and 500.
    level = math.log(750 * 1000 / (250 * 500)) / 4
    seeds = math.log(750 / 500) / 2  # of spans alone, since both runs are alike
    # One degree of freedom each, as there are two runs of RAM and two of the method.
    freedom = (seeds**2 + level**2) ** 2 / (seeds**4 + level**4)
    reach = stats.t.ppf(0.975, freedom) * math.hypot(seeds, level)
    assert row.as_good.interval.low == pytest.approx(500 * math.exp(-reach))
    assert row.as_good.interval.high == pytest.approx(750 * math.exp(reach))
    # One run of RAM says nothing about the level's error.
    _, row = score_runs([rams[0], *runs]).rows
    assert row.as_good.interval is None


def _with_nats(run: RunResult, *nats: float) -> RunResult:
    points = zip(run.curve, nats, strict=True)
    curve = tuple(p.model_copy(update={"cross_entropy": value}) for p, value in points)
    return run.model_copy(update={"curve": curve})


def test_figures_after_other_numbers_of_glimpses_are_refused(tmp_path):
    for seed, steps in ((0, 4), (1, 3)):
        run = run_result("ram", seed)
        step = StepMetrics(cross_entropy=1.0, accuracy=0.5, balanced_accuracy=0.5)
        test = run.test.model_copy(update={"after": (step,) * steps})
        save_result(run.model_copy(update={"test": test, "locations": None}), tmp_path)
    with pytest.raises(NogsError, match=r"seed1 has test.after of 3 glimpses, \S+seed0 of 4"):
        score(tmp_path)


def test_pre_training_counts_on_both_sides():
    from board import board_runs

    ram, nogs = score_runs(list(board_runs(protocol="pretrained"))).rows
    before = get_task("cluttered-digits").protocol("pretrained").pretraining.iterations
    for name in ("time_to_target", "as_good"):
        for seed, found in enumerate(nogs.with_pretraining[name].values):
            slow, fast = (
                {"time_to_target": row.time_to_target, "as_good": row.as_good}[name].values[seed]
                for row in (ram, nogs)
            )
            assert found.low == (slow.low + before) / (fast.high + before)
            assert found.high == (slow.high + before) / (fast.low + before)
    assert score_runs(list(board_runs())).rows[1].with_pretraining == {}


def test_results_of_a_task_that_was_changed_are_refused():
    """By itself, too: its target and classes may be others."""
    known = {"task_digest": get_task("cluttered-digits").digest}
    assert score_runs([run_result("ram").model_copy(update=known)]).rows
    other = run_result("ram").model_copy(update={"task_digest": "f" * 64})
    with pytest.raises(NogsError, match="another label, number of glimpses or grid than cluttered"):
        score_runs([other])
    older = other.model_copy(update={"task_version": 1})
    assert score_runs([older]).rows


@pytest.mark.parametrize(("field", "value"), [("images", "0" * 64), ("task_version", 1)])
def test_entries_of_one_board_are_of_the_same_images_and_version(field, value):
    """Whatever their models are: they would be ranked together."""
    ram = run_result("ram").model_copy(update={"images": "1" * 64})
    model = ram.model.model_copy(update={"name": "other"})
    other = ram.model_copy(update={"model": model})
    assert [row.rank for row in score_runs([ram, other]).rows] == [(1, 2), (1, 2)]
    with pytest.raises(NogsError, match=rf"reference.seed0 has {field} .*, .*other.seed0 {value};"):
        score_runs([ram, other.model_copy(update={field: value})])


@pytest.mark.parametrize(
    "change", [{"batch_size": 32}, {"evaluation_period": 50}, {"pretraining": PRETRAINING}]
)
def test_models_whose_iterations_are_not_worth_the_same_are_not_ranked(change):
    """A batch of half the size takes twice the iterations, and more validations find more."""
    ram = run_result("ram")
    model = ram.model.model_copy(update={"name": "other"})
    other = _with(ram.model_copy(update={"model": model}), **change)
    scores = score_runs([ram, other])
    assert [row.rank for row in scores.rows] == [None, None]
    assert scores.profiles() == {}
    alone = run_result("ram", task="fashion-mnist")
    scores = score_runs([ram, other, alone])
    assert [row.rank for row in scores.rows] == [None, None, (1, 1)]
    assert {key: each.workloads for key, each in scores.profiles().items()} == {
        ("ram", "reference"): 1
    }


def test_methods_that_were_pre_trained_for_other_lengths_are_not_compared():
    ram = _with(run_result("ram", protocol="pretrained"), pretraining=PRETRAINING)
    longer = PRETRAINING.model_copy(update={"iterations": 900})
    own = _with(run_result("ps-nogs", protocol="pretrained"), pretraining=longer)
    with pytest.raises(NogsError, match=r"hyperparameters.pretraining.iterations 900, .* 300"):
        score_runs([ram, own])


def test_of_several_rates_a_board_counts_one():
    """Each row of two on a board entered the mean over boards: "known on 2 of 1"."""
    slow, soon = (0.1, 0.2, 0.3, 0.9), (0.1, 0.2, 0.9, 0.9)
    runs = [run_result("ram", 0, slow), run_result("ps-nogs", 0, slow)]
    faster = [_with(run_result("ps-nogs", 0, soon), learning_rate=3e-3)]
    scores = score_runs([*runs, *faster])
    chosen = scores.over_boards()["ps-nogs", "reference"]
    assert [row.learning_rate for row in chosen.values()] == [3e-3]
    # RAM and the slower entry came to the target by 750, the other by 500.
    profiles = scores.profiles()
    assert profiles["ps-nogs", "reference"].ratios == (1.0,)
    assert profiles["ram", "reference"].ratios == (1.5,)


def test_results_that_cannot_be_compared_are_refused():
    ram = run_result("ram")
    with pytest.raises(NogsError, match="version 99"):
        score_runs([ram.model_copy(update={"task_version": 99})])
    longer = run_result("ps-nogs", 0, (0.1, 0.2, 0.3, 0.4, 0.5))
    with pytest.raises(NogsError, match=r"ps-nogs.*iterations 1000, .*ram.* 750"):
        score_runs([ram, longer])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda run: _with(run, batch_size=32), "hyperparameters.batch_size 32, .* 64"),
        (lambda run: _with(run, evaluation_period=50), "evaluation_period 50, .* 250"),
        (lambda run: _with(run, supervised_share=0.5), "supervised_share 0.5, .* 0.0"),
        (
            lambda run: run.model_copy(
                update={"dataset": DatasetInfo(name="d", digest="2" * 64, supervised=600)}
            ),
            "dataset.digest 222.*, .* 111",
        ),
        (
            lambda run: run.model_copy(
                update={"model": run.model.model_copy(update={"source_digest": "f" * 64})}
            ),
            "model.source_digest fff.*, .* 000",
        ),
        (lambda run: run.model_copy(update={"images": "a" * 64}), "images aaa.*, .* bbb"),
    ],
)
def test_seeds_that_were_made_differently_are_not_merged(change, field):
    runs = [
        run_result("ps-nogs", seed).model_copy(update={"images": "b" * 64}) for seed in range(3)
    ]
    assert len(score_runs(runs).rows) == 1
    with pytest.raises(NogsError, match=rf"seed2 has .*{field}"):
        score_runs([*runs[:2], change(runs[2])])


def test_ram_validated_more_seldom_is_no_reference():
    """Validated every 1,000 and every 50 iterations, 6.4 times became 9.0."""
    ram = [_with(run_result("ram", seed), evaluation_period=1000) for seed in range(2)]
    with pytest.raises(NogsError, match="evaluation_period"):
        score_runs([*ram, run_result("ps-nogs", 0)])


def test_another_learning_rate_is_another_entry():
    runs = [run_result(method, seed) for method in ("ram", "ps-nogs") for seed in range(2)]
    faster = [_with(run, learning_rate=3e-3) for run in runs]
    rows = score_runs([*runs, *faster]).rows
    assert [(row.method, row.learning_rate) for row in rows] == [
        ("ram", 3e-4),
        ("ram", 3e-3),
        ("ps-nogs", 3e-4),
        ("ps-nogs", 3e-3),
    ]
    # The protocol's rate is 3e-3; the other entry stands beside RAM at its own rate too.
    assert [row.reference_rate for row in rows] == [3e-3] * 4
    assert rows[2].same_rate["time_to_target"].seeds == (0, 1)
    assert rows[3].same_rate == {}
    (alone,) = (row for row in score_runs([*faster, runs[2]]).rows if row.learning_rate == 3e-4)
    assert alone.same_rate == {}
    assert alone.speed_ups["time_to_target"].seeds == (0,)


def test_a_seed_that_is_there_twice_is_refused():
    with pytest.raises(NogsError, match="seed 0 is there twice"):
        score_runs([run_result("ram"), run_result("ram", accuracy=(0.1, 0.2, 0.3, 0.4))])
