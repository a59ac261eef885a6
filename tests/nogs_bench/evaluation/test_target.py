"""A target measured: what it is of given curves, and where it is written."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.target import (
    SEEDS,
    halfway,
    measure_target,
    whole_per_cent,
    write_target,
)
from nogs_bench.results.result import Point
from places import SUPPORT


def test_half_way_by_hand() -> None:
    def point(iteration: int, accuracy: float, balanced: float) -> Point:
        return Point(
            iteration=iteration,
            cross_entropy=1.0,
            accuracy=accuracy,
            balanced_accuracy=balanced,
        )

    run: Any = SimpleNamespace(
        hyperparameters=SimpleNamespace(iterations=400),
        curve=[point(100, 0.5, 0.4), point(200, 0.7, 0.3), point(300, 0.9, 0.8)],
    )
    assert halfway(run, "accuracy") == 0.7
    assert halfway(run, "balanced_accuracy") == 0.4


def test_a_target_is_written_into_its_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("A = 1\nTARGET = 0.75\ntask = TARGET\n")
    assert write_target(f"{file}:task", 0.62) == str(file)
    assert file.read_text() == "A = 1\nTARGET = 0.62\ntask = TARGET\n"
    file.write_text("task = 1\n")
    assert write_target(f"{file}:task", 0.62) is None
    assert write_target("fashion-mnist", 0.62) is None
    file.write_text("TARGET = 1\nTARGET = 2\n")
    with pytest.raises(NogsError, match="more than one line"):
        write_target(f"{file}:task", 0.62)


def test_every_whole_per_cent_stays_what_it_is() -> None:
    for number in range(101):
        assert whole_per_cent(number / 100) == number / 100
        assert whole_per_cent(number / 100 + 0.009) == number / 100
    assert whole_per_cent((0.28 + 0.3) / 2) == 0.29


MINE = """
from corner_task import CORNER
from nogs_bench import HardAttentionNet
TARGET = 0.5
task = CORNER


class Wide(HardAttentionNet):
    pass
"""


def test_a_target_is_of_the_model_s_own_runs_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SUPPORT)
    file, out = tmp_path / "mine.py", tmp_path / "out"
    file.write_text(MINE)
    settings: dict[str, Any] = {"out": out, "device": "cpu", "workers": 1}
    settings["training"] = {"evaluation_period": 5}
    measure_target(f"{file}:task", model=f"{file}:Wide", iterations=10, **settings)
    # The other model's runs were shorter, and worse.
    found = measure_target(f"{file}:task", iterations=200, **settings)
    runs = [
        json.loads((out / f"corner.scratch.ram.reference.seed{seed}.json").read_text())
        for seed in SEEDS
    ]
    best = [max(p["accuracy"] for p in run["curve"] if p["iteration"] <= 100) for run in runs]
    assert sorted(found.halfway) == sorted(best)
    assert 0 <= statistics.median(best) - found.value < 0.01
    assert f"TARGET = {found.value}\n" in file.read_text()


def test_a_file_that_cannot_be_written_into_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SUPPORT)
    file = tmp_path / "mine.py"
    file.write_text(MINE + "TARGET = 0.6\n")
    with pytest.raises(NogsError, match="more than one line TARGET"):
        measure_target(f"{file}:task", out=tmp_path / "out", iterations=10)
    assert not (tmp_path / "out").exists()
