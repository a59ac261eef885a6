"""The figures that are kept are those that their script draws from what the repository holds."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from places import ROOT


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float32)


@pytest.mark.skipif(
    tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 11),
    reason="an older matplotlib sets labels and margins elsewhere",
)
def test_figures_are_what_the_script_draws(tmp_path: Path) -> None:
    """Up to another matplotlib's rendering: nearly all pixels are nearly the same."""
    drawn = runpy.run_path(str(ROOT / "docs" / "draw.py"))["draw"](tmp_path)
    assert {path.name for path in drawn} == {"epe.png", "locations.png", "curves.png"}
    for path in drawn:
        new, kept = pixels(path), pixels(ROOT / "docs" / "figures" / path.name)
        assert new.shape == kept.shape, f"{path.name}: run python docs/draw.py"
        share = (np.abs(new - kept).max(2) > 40).mean()
        assert share < 0.01, f"{path.name}: run python docs/draw.py"
