"""The comparison of posteriors: equal time, what is trained once, and what cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from nogs_bench.builders.compare import avp as module
from nogs_bench.builders.compare.avp import compare_avp, speeds
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.errors import NogsError
from tiny import corner_task

LOCAL = "local:4k4s4-8"


def test_each_is_trained_once_for_the_time_given(tmp_path, monkeypatch):
    """Epochs that take 2 and 0.5 s by the clock fit 2 and 8 times into 4 s."""
    times = {"conv": 2.0, LOCAL: 0.5}
    monkeypatch.setattr(
        module, "seconds_per_epoch", lambda task, *_: times[task.avp.network], raising=True
    )
    task = corner_task()
    first = compare_avp(task, ["conv", LOCAL], 4, tmp_path, device="cpu")
    assert [each.network for each in first] == ["conv", LOCAL]
    assert [each.epochs for each in first] == [2, 8]
    assert all(each.seconds > 0 for each in first)
    for each in first:
        assert len(each.cross_entropy) == len(each.calibration_error) == task.T
    monkeypatch.setattr(module, "seconds_per_epoch", None)
    monkeypatch.setattr("nogs_bench.builders.pipeline.posteriors.train_avp", None)
    again = compare_avp(task, ["conv", LOCAL], 4, tmp_path, device="cpu")
    for old, new in zip(first, again, strict=True):
        assert replace(old, prepared=0, whole=0) == replace(new, prepared=0, whole=0)


def test_two_calls_do_not_train_one_network(tmp_path, monkeypatch):
    task = corner_task()

    def meanwhile(*_):
        with pytest.raises(NogsError, match=f"another call trains conv in {tmp_path}; .*process"):
            compare_avp(task, ["conv"], 4, tmp_path, device="cpu")
        return 4.0

    monkeypatch.setattr(module, "seconds_per_epoch", meanwhile)
    (found,) = compare_avp(task, ["conv"], 4, tmp_path, device="cpu")
    assert found.epochs == 1
    assert not list(tmp_path.glob("*.lock"))


def test_the_first_network_judges_what_the_others_choose(tmp_path, monkeypatch):
    """It finds its own choice, the one cell that tells, at least as good as that of the others."""
    monkeypatch.setattr(module, "seconds_per_epoch", lambda *_: 1.0)
    task = corner_task()
    found = compare_avp(task, ["conv", LOCAL], 12, tmp_path, device="cpu", sequences=20)
    for each in found:
        assert len(each.judged_entropy) == len(each.judged_cross_entropy) == task.T
    assert found[0].judged_error == (0,) * task.T
    own, other = (each.judged_entropy for each in found)
    assert own[0] < np.log(4) - 0.2
    assert own[0] <= other[0] + 1e-6
    with pytest.raises(NogsError, match="give 0 to 30 for corner"):
        compare_avp(task, out=tmp_path, device="cpu", sequences=31)


def test_the_cost_needs_neither_images_nor_training(monkeypatch):
    monkeypatch.setattr(module, "assign_roles", None)
    (found,) = compare_avp("celeba-hq-male", ["tokens:test_vit"], cost_only=True, device="cpu")
    assert found.cross_entropy == ()
    assert found.prepared > 0
    assert found.whole > 0


def test_every_pair_is_asked_once(monkeypatch):
    """Parts grow, and together they are all cells of all completions."""
    task = corner_task()
    avp = Avp(task).freeze()
    asked = []
    prepare = avp.prepare

    class Counting:
        def __init__(self, *given):
            self.prepared = prepare(*given)
            asked.append([])

        def log_posterior(self, rows, cells):
            asked[-1] += zip(rows.tolist(), cells.tolist(), strict=True)
            return self.prepared.log_posterior(rows, cells)

    monkeypatch.setattr(avp, "prepare", Counting)
    speeds(avp, task, "cpu", seconds=60)
    every = {(row, cell) for row in range(20) for cell in range(9)}
    assert {len(pairs) for pairs in asked} == {16, 180}
    assert all(set(pairs) == every for pairs in asked if len(pairs) == 180)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"networks": ["cnov"]}, "unknown AVP network 'cnov'.*did you mean 'conv'"),
        ({"networks": ["local:3k"]}, "local:16k4s2p1"),
        ({"seconds": 0}, "some time"),
        ({"seconds": float("inf")}, "some time"),
        ({"seconds": float("nan")}, "some time"),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments, named, tmp_path):
    with pytest.raises(NogsError, match=named):
        compare_avp(corner_task(), out=tmp_path / "out", device="cpu", **arguments)
    assert not (tmp_path / "out").exists()


def test_too_few_images_are_said(tmp_path):
    task = corner_task()
    task = replace(task, avp=replace(task.avp, batch_size=1000))
    with pytest.raises(NogsError, match="fewer than a batch"):
        compare_avp(task, ["conv"], out=tmp_path / "out", device="cpu")
