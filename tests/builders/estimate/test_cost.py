"""`build --plan`: sizes and hours against cases worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from nogs_bench.builders.bank import Fold, assign_roles, count_roles
from nogs_bench.builders.estimate.cost import estimate_build
from nogs_bench.builders.estimate.rates import Rates, image_name, read_rates
from nogs_bench.builders.pipeline import build
from nogs_bench.cli import app
from nogs_bench.cli.build_tables import estimate_tables
from nogs_bench.errors import NogsError
from nogs_bench.tasks import TASKS, AvpTraining, get_task
from tiny import corner_task
from two_corners import family

CORNER = image_name("conv", corner_task())
HAND = Rates(
    "by hand",
    "cpu",
    posteriors={CORNER: 9 / 36},
    training={CORNER: 100 / 3600},
    searches={"exhaustive": 1.0},
    exact=30.0,
    multiply_adds=1.0,
)


def write(tmp_path, rates):
    from dataclasses import asdict

    path = tmp_path / "rates.json"
    path.write_text(json.dumps(asdict(rates)))
    return path


def by_stage(found):
    return {stage.stage: stage for stage in found.stages}


def test_a_tiny_build_by_hand(tmp_path):
    """30 images, T = 2, 9 cells, 20 completions, a bank of 150 of 12 x 12; 220 train the AVP."""
    found = estimate_build(corner_task(), write(tmp_path, HAND), workers=2)
    stages = by_stage(found)
    assert stages["bank"].bytes == 180 * (144 + 8)
    # 2 epochs of 220 images, 100 an hour; an epoch is what can be lost.
    assert stages["avp"].hours == pytest.approx((4.4, 4.4))
    assert stages["avp"].lost_hours == pytest.approx(2.2)
    # 9 cells x 100 completions of the first step, at 0.25 a second.
    assert stages["first step"].hours == pytest.approx((1.0, 1.0))
    # 9 x 20 posteriors (720 s) and 150 images compared at 30 a second (5 s), 30 times.
    assert stages["sequences"].hours == pytest.approx((30 * 725 / 3600,) * 2)
    assert (stages["sequences"].shards, stages["datasets"].shards) == (2, 1)
    assert stages["datasets"].bytes == 30 * 2 * 9 * 2
    assert found.hours[0] == pytest.approx(5.4 + 30 * 725 / 3600)
    assert found.days[0] == pytest.approx(found.hours[0] / 48)
    # Two workers are less than a node: a shard of 20 images each.
    assert found.lost_hours == pytest.approx(2 * 20 * 725 / 3600)
    assert found.unknown == []


def test_glimpses_that_are_embedded_once_by_hand(tmp_path):
    """15 bank images and their mirror images are 30, of 9 cells and 8 numbers of 2 bytes each."""
    task = corner_task(avp=AvpTraining("patch-sum:8x1", epochs=2, batch_size=50))
    settings = replace(task.annotation, bank_images=15, effective_samples=8.0, mirrored=True)
    key = image_name("patch-sum:8x1", task)
    rates = replace(HAND, posteriors={key: 0.25}, embedding={key: 27.0}, embedded={key: 1.0})
    path = write(tmp_path, rates)
    found = by_stage(estimate_build(replace(task, annotation=settings), path))
    assert found["embedded"].bytes == 30 * 9 * 8 * 2
    assert found["embedded"].hours == pytest.approx((10 / 3600,) * 2)
    # 9 x 20 posteriors (180 s), and 30 images compared at 30 a second (1 s).
    assert found["sequences"].hours == pytest.approx((30 * 181 / 3600,) * 2)
    # Rates of before it was measured: as if each was computed.
    old = write(tmp_path, replace(rates, embedding={}, embedded={}))
    known = by_stage(estimate_build(replace(task, annotation=settings), old))
    assert known["sequences"].hours == pytest.approx((30 * 721 / 3600,) * 2)
    path = write(tmp_path, rates)
    # Of fewer images, each glimpse is computed when it is asked for.
    few = by_stage(estimate_build(replace(task, annotation=settings), path, images=29))
    assert "embedded" not in few
    assert few["sequences"].hours == pytest.approx((29 * 721 / 3600,) * 2)


def test_a_round_at_chosen_glimpses_by_hand(tmp_path):
    """The network is trained twice; 40 images choose by halving, here half of 9 x 20 each."""
    rates = replace(HAND, searches={"exhaustive": 1.0, "halving": 0.5})
    overrides = {"avp.rounds": 1, "avp.chosen_images": 40}
    found = estimate_build(corner_task(), write(tmp_path, rates), overrides=overrides)
    stages = by_stage(found)
    assert stages["avp"].hours == pytest.approx((8.8, 8.8))
    assert stages["avp"].lost_hours == pytest.approx(2.2)
    # Its first step is of 100 images of the bank; then 90 posteriors and the bank's 5 s.
    chosen = 9 * 100 * 4 + 40 * (90 * 4 + 5)
    assert stages["chosen"].hours == pytest.approx((chosen / 3600,) * 2)
    assert stages["chosen"].shards == 2


def test_glimpses_chosen_for_two_labels_by_hand(tmp_path):
    """T = 3: 2 x 9 x 20 / 2 posteriors (720 s) and the bank twice (10 s), for one label or each."""
    rates = replace(HAND, searches={"exhaustive": 1.0, "halving": 0.5})
    overrides = {"avp.rounds": 1, "avp.chosen_images": 40}
    found = estimate_build(family(), write(tmp_path, rates), overrides=overrides)
    chosen = by_stage(found)["chosen"]
    hours = [(9 * 100 * 4 + 40 * labels * 730) / 3600 for labels in (1, 2)]
    assert chosen.hours == pytest.approx(tuple(hours))
    # A shard is 20 images of one label, 10 of two.
    assert (chosen.shards, chosen.bytes) == (4, 40 * 2 * 3 * 8)
    assert chosen.lost_hours == pytest.approx(hours[1] / 4)


def test_folds_and_a_teacher_by_hand(tmp_path):
    """Each of 2 folds has 200 images: a bank of 150 x 200 / 400 = 75, and 125 train the AVP."""
    teacher = {"avp.teacher": "conv", "avp.network": "local", "annotation.images": 400}
    rates = write(tmp_path, HAND)
    stages = by_stage(estimate_build(corner_task(), rates, folds=2, overrides=teacher))
    assert stages["bank"].bytes == (400 + 2 * 75) * (144 + 8)
    assert stages["teacher"].hours == pytest.approx((5.0, 5.0))
    assert (stages["teacher"].shards, stages["teacher"].lost_hours) == (4, pytest.approx(1.25))
    assert stages["avp"].hours is None
    stages = by_stage(estimate_build(corner_task(), rates, folds=2, images=400))
    assert stages["avp"].hours == pytest.approx((5.0, 5.0))
    # 9 cells x 75 completions of the first step, which the folds share, at 0.25 a second.
    assert stages["first step"].hours == pytest.approx((0.75, 0.75))
    assert stages["sequences"].hours == pytest.approx((400 * (720 + 2.5) / 3600,) * 2)
    # Reversed ones are images too, of which the first step takes 100.
    mirrored = {"annotation.mirrored": True}
    stages = by_stage(estimate_build(corner_task(), rates, folds=2, images=400, overrides=mirrored))
    assert stages["first step"].hours == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("settings", "folds"),
    [({}, 1), ({"reserved": 100}, 1), ({"images": 399}, 2), ({"images": 9, "reserved": 40}, 3)],
)
@pytest.mark.parametrize("most", [0, 60])
def test_roles_are_as_many_as_were_counted(settings, folds, most):
    task = corner_task()
    task = replace(task, annotation=replace(task.annotation, **settings))
    task = replace(task, avp=replace(task.avp, images=most))
    for number in range(folds):
        given = (task.annotation.images, Fold(number, folds))
        counts = count_roles(task, 400, *given)
        roles = assign_roles(task, given[0], 0, None, fold=given[1])
        sizes = len(roles.annotated), len(roles.bank), len(roles.avp(0))
        assert sizes == (counts.annotated, counts.bank, counts.avp)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 401}, "--images 401: give 1 to 400"),
        ({"images": 300}, "leaves none of corner's 400"),
        ({"images": 400, "folds": 0}, "--folds must be at least 1"),
        ({"bank": "nonsense"}, "unknown image generator 'nonsense'"),
        ({"overrides": {"avp.batch_size": 250}}, "220 images are left to train the AVP"),
        ({"completion": "conditional-gan", "criterion": "cross-entropy"}, "--criterion entropy"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
    ],
)
def test_what_a_build_refuses_is_not_reckoned(settings, message, tmp_path):
    with pytest.raises(NogsError, match=message):
        build(corner_task(), tmp_path, device="cpu", **{"workers": 1} | settings)
    with pytest.raises(NogsError, match=message):
        estimate_build(corner_task(), **settings)
    with pytest.raises(NogsError, match="workers_a_node must be at least 1"):
        estimate_build(corner_task(), workers_a_node=0)


def test_what_was_not_measured_is_said(tmp_path):
    found = estimate_build(corner_task(), write(tmp_path, Rates("nothing", "gpu")), search="racing")
    assert found.unknown == ["avp", "first step", "sequences"]
    assert found.unit == "GPU-hours"
    (table,) = estimate_tables(found)
    assert table.caption == (
        "the rates of nothing have none for avp, first step, sequences; --rates takes others"
    )
    assert list(table.columns[3].cells)[-1] == "not measured"


def test_the_paper_s_full_scale():
    """1.5 million images, 40 attributes x 27,000, in two folds: sizes from the shapes alone."""
    settings = {"bank": "stylegan:FILE", "bank_images": 1_500_000, "images": 27_000}
    found = estimate_build("celeba-hq-*", workers=64, folds=2, **settings)
    stages, pixels = by_stage(found), 3 * 224**2
    assert len(found.tasks) == 40
    assert stages["generated bank"].shards == 1465
    assert stages["generated bank"].bytes == 1_500_000 * (pixels + 40 * 8)
    assert stages["sequences"].shards == 27_000
    assert stages["datasets"].bytes == 27_000 * 40 * 5 * 2500 * 2
    low, high = stages["sequences"].hours
    assert high == pytest.approx(40 * low)
    assert stages["avp"].shards == 2 * 458
    assert stages["pca"].bytes == 2 * (1_500_000 * 256 * 2 + 257 * pixels * 4)
    assert found.unknown == []


def test_the_command_prints_a_table_and_json(tmp_path):
    call = ["build", "celeba-hq-*", "--bank", "stylegan:x", "--images", "27000", "--plan"]
    call += ["--folds", "2"]
    shown = CliRunner().invoke(app, call, env={"COLUMNS": "160"})  # each cell in one line
    assert shown.exit_code == 0, shown.output
    assert "40 tasks, 27,000 images" in shown.stdout
    assert "226 GB" in shown.stdout
    assert "if a machine with 8 workers dies" in " ".join(shown.stdout.split())
    record = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert record["images"] == 27000
    assert {stage["stage"] for stage in record["stages"]} >= {"generated bank", "sequences"}
    refused = CliRunner().invoke(app, ["build", "fashion-mnist"])
    assert refused.exit_code == 2
    assert "--out" in refused.output


def test_bad_rates_and_names(tmp_path):
    (tmp_path / "rates.json").write_text("[1]")
    with pytest.raises(NogsError, match="holds no rates"):
        read_rates(tmp_path / "rates.json")
    with pytest.raises(NogsError, match="did you mean 'racing'"):
        estimate_build("fashion-mnist", search="racin")


EVERY = {get_task(name).family or name: name for name in TASKS}  # one of each family


@pytest.mark.parametrize("name", EVERY.values())
def test_every_stage_of_every_task_is_reckoned(name):
    task = get_task(name)
    # No training split has the paper's million.
    bank = "stylegan:FILE" if task.annotation.bank_images > 10 * task.splits.train else None
    assert all(stage.hours is not None for stage in estimate_build(name, bank=bank).stages)
