"""A target measured: what it is of given curves, and where it is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.target import halfway, write_target


def test_half_way_by_hand() -> None:
    def point(iteration: int, accuracy: float, balanced: float) -> Any:
        return SimpleNamespace(iteration=iteration, accuracy=accuracy, balanced_accuracy=balanced)

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
