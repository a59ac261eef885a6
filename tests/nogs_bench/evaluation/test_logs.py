"""What `--log` writes of a run, against its result; and stopped in between."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from corner_task import CORNER, write_sequences
from nogs_bench.errors import NogsError
from nogs_bench.evaluation import logs, pool
from nogs_bench.evaluation.command import evaluate

SETTINGS = {"task": CORNER, "seeds": 2, "device": "cpu", "protocol": "scratch", "workers": 1}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_is_the_results_curve(tmp_path: Path) -> None:
    sequences = write_sequences(tmp_path / "s")
    evaluate(out=tmp_path / "r", log="csv", sequences=sequences, **SETTINGS)
    evaluate(out=tmp_path / "plain", sequences=sequences, **SETTINGS)
    for result in (tmp_path / "r").glob("*.json"):
        curve = json.loads(result.read_text())["curve"]
        # Being watched changes nothing.
        assert json.loads((tmp_path / "plain" / result.name).read_text())["curve"] == curve
        logged = rows(tmp_path / "r" / "logs" / f"{result.stem}.csv")
        assert [int(row["iteration"]) for row in logged] == [p["iteration"] for p in curve]
        for row, point in zip(logged, curve, strict=True):
            assert float(row["accuracy"]) == point["accuracy"]
            assert float(row["cross_entropy"]) == point["cross_entropy"]
        assert logged[0]["gradient_norm"] == ""
        assert all(float(row["gradient_norm"]) > 0 for row in logged[1:])
    pictures = list((tmp_path / "r" / "logs").glob("*.png"))
    assert len(pictures) >= 4
    with Image.open(pictures[0]) as picture:
        assert picture.width > 100


def test_the_norm_is_that_of_all_gradients_of_a_run() -> None:
    layer = torch.nn.Linear(2, 3)
    first, second = layer.parameters()
    first.grad = torch.arange(6.0).view(3, 2)  # three runs: (0, 1), (2, 3), (4, 5)
    second.grad = torch.tensor([1.0, 2.0, 3.0])
    found = logs.gradient_norms(SimpleNamespace(stacked=True, parts={"model": layer}))
    assert found == pytest.approx([2**0.5, 17**0.5, 50**0.5])


def test_a_run_that_goes_on_writes_no_point_twice(tmp_path: Path) -> None:
    evaluate(methods="ram", out=tmp_path, log="csv", **SETTINGS)
    (path, _) = sorted((tmp_path / "logs").glob("*.csv"))
    whole = rows(path)
    log = logs.CsvLog.__new__(logs.CsvLog)
    log.path, log.rows = path, {int(row["iteration"]): row for row in whole}
    at = int(whole[-2]["iteration"])
    log.point(at, {"accuracy": 0.5, "cross_entropy": 1.0, "learning_rate": 0.1, "seconds": 1.0})
    again = rows(path)
    assert [row["iteration"] for row in again] == [row["iteration"] for row in whole[:-1]]
    assert again[-1]["accuracy"] == "0.5"


def test_a_run_that_goes_on_keeps_the_norm_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = SETTINGS | {"seeds": 1, "methods": "ram", "log": "csv"}
    evaluate(out=tmp_path / "whole", **settings)
    do = pool.do

    def interrupted(job: Any, report: Any) -> None:
        def stop(done: int, note: str) -> None:
            if done == 20:
                raise KeyboardInterrupt
            report(done, note)

        do(job, stop)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(out=tmp_path / "cut", **settings)
    evaluate(out=tmp_path / "cut", **settings)
    logged = []
    for name in ("whole", "cut"):
        (path,) = (tmp_path / name / "logs").glob("*.csv")
        logged.append([row | {"seconds": ""} for row in rows(path)])
    assert logged[0] == logged[1]


def test_tensorboard_holds_the_points(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    evaluate(methods="ram", out=tmp_path, log="tensorboard", **(SETTINGS | {"seeds": 1}))
    (result,) = tmp_path.glob("*.json")
    found = EventAccumulator(str(tmp_path / "logs" / "tensorboard" / result.stem))
    found.Reload()
    curve = json.loads(result.read_text())["curve"]
    scalars = found.Scalars("accuracy")
    assert [event.step for event in scalars] == [point["iteration"] for point in curve]
    assert [event.value for event in scalars] == pytest.approx([p["accuracy"] for p in curve])
    assert found.Images("look")


def test_trackers_are_given_settings_points_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module with the interface that wandb and trackio share."""
    seen: list[tuple[str, object]] = []

    class Run:
        def log(self, values: dict, step: int) -> None:
            seen.extend((name, step) for name in values)

        def finish(self) -> None:
            seen.append(("finish", 0))

    module = ModuleType("trackio")
    module.init = lambda **given: seen.append(("init", given["config"]["method"])) or Run()
    module.Image = lambda path: Path(path).read_bytes()[:4]
    monkeypatch.setitem(sys.modules, "trackio", module)
    evaluate(methods="ram", out=tmp_path, log="trackio", **(SETTINGS | {"seeds": 1}))
    assert seen[0] == ("init", "ram")
    assert seen[-1] == ("finish", 0)
    assert {name for name, _ in seen} >= {"accuracy", "cross_entropy", "gradient_norm", "look"}


def test_runs_of_wandb_that_are_open_at_once_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `init` gives the process's open run again, unless it is told to make a new one."""
    module = ModuleType("wandb")
    active: list[Run] = []

    class Run:
        def __init__(self, given: dict):
            self.name, self.id, self.points = given["name"], given["id"], []

        def log(self, values: dict, step: int) -> None:
            if "accuracy" in values:
                self.points.append((step, values["accuracy"]))

        def finish(self) -> None:
            active.remove(self)

    made = []

    def init(reinit: str = "return_previous", **given: object) -> Run:
        if active and reinit == "return_previous":
            return active[-1]
        made.append(Run(given))
        active.append(made[-1])
        return made[-1]

    module.init, module.Image = init, Path
    monkeypatch.setitem(sys.modules, "wandb", module)
    evaluate(methods="ram", out=tmp_path, log="wandb", **SETTINGS)
    assert not active
    assert len({run.id for run in made}) == 2
    for run in made:
        curve = json.loads((tmp_path / f"{run.name}.json").read_text())["curve"]
        assert run.points == [(point["iteration"], point["accuracy"]) for point in curve]


def test_what_cannot_log_is_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NogsError, match="unknown log 'tensorbord': did you mean 'tensorboard'"):
        evaluate(methods="ram", out=tmp_path, log="tensorbord", **SETTINGS)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(NogsError, match="pip install wandb"):
        evaluate(methods="ram", out=tmp_path, log="wandb", **SETTINGS)
    assert not list(tmp_path.glob("*.json"))
