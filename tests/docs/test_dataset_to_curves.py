"""The example from a dataset to curves, on a folder that the test makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drawings import write_drawings
from places import ROOT


@pytest.mark.slow
def test_the_example_goes_from_images_to_curves(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos")
    script = ROOT / "examples" / "dataset_to_curves.py"
    short = ["--minutes", "0.5", "--iterations", "100", "--seeds", "1", "--out", "own"]
    command = [sys.executable, str(script), str(photos), *short]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ps-nogs" in done.stdout
    assert (tmp_path / "own" / "curves.png").stat().st_size
