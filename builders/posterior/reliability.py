"""Whether a posterior is as often right as it says: its reliability curves, kept and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.posterior.interface import Posterior, log_along
from nogs_bench.calibration import CURVE, Reliability, reliability
from nogs_bench.errors import NogsError
from nogs_bench.figures import drawing
from nogs_bench.files import PROVENANCE, read_provenance
from nogs_bench.sequences import dataset_folder
from nogs_bench.tasks import GlimpseGrid


def fixed_cells(grid: GlimpseGrid, images: int, T: int) -> np.ndarray:
    """int64 (images, T): the one draw of uniform locations that posteriors are chosen by and
    measured on."""
    return np.random.default_rng(0).integers(grid.cells, size=(images, T))


@torch.inference_mode()
def calibration(
    posterior: Posterior,
    images: np.ndarray,
    labels: np.ndarray,
    cells: np.ndarray,
    device: torch.device | str = "cpu",
) -> list[Reliability]:
    """A posterior's reliability for t = 1 .. T along given sequences of glimpses.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size).
    - `labels`: int64 (n,), the target's true classes.
    - `cells`: int64 (n, T), such as `fixed_cells` gives.
    """
    return [
        reliability(log.cpu().exp().numpy(), labels)
        for log in log_along(posterior, images, cells, device)
    ]


def calibration_record(curves: Sequence[Reliability]) -> dict[str, Any]:
    """As a dataset's provenance holds it, plain JSON values: the error of each t and the curves."""
    return {
        "expected_calibration_error": [curve.expected_error for curve in curves],
        "reliability": [asdict(curve) for curve in curves],
    }


def read_calibration(dataset: str | Path) -> list[Reliability]:
    """The curves of t = 1 .. T that a built dataset's provenance holds.

    `dataset` is a folder, a task's name or a name on the Hub, as `nogs_bench.load` has it.
    Raises `NogsError` if it was built without a posterior, or by an earlier version.
    """
    given = Path(dataset)
    folder = given if given.is_dir() else dataset_folder(dataset, "annotations")
    path, record = folder / PROVENANCE, read_provenance(folder)
    if not record.get("calibration"):
        raise NogsError(f"{path} holds no calibration: only `nogs-bench build` measures one")
    try:
        rows = record["calibration"]["reliability"]
        return [Reliability(**{name: tuple(row[name]) for name in CURVE}) for row in rows]
    except (KeyError, TypeError) as error:
        raise NogsError(f"{path}: its calibration is damaged; build the dataset again") from error


def plot_reliability(dataset: str | Path, out: str | Path) -> Path:
    """Draw whether a build's posterior is as often right as it says, after each glimpse.

    `dataset` is as `read_calibration` takes it; `out`, which is returned, a `.png` or `.svg` file.
    Raises `NogsError` as `read_calibration` does.
    """
    return draw_reliability(read_calibration(dataset), out)


def draw_reliability(curves: Sequence[Reliability], out: str | Path) -> Path:
    """Draw the curves of t = 1 .. T side by side, the diagonal being perfect calibration.

    A dot's area is the share of predictions in its bin. Writes `out`, a PNG or SVG file; raises
    `NogsError` at any other. **Returns** `out`.
    """
    with drawing(Path(out), (1.9 * len(curves) + 0.4, 2.4)) as figure:
        panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
        for t, (axes, curve) in enumerate(zip(panels, curves, strict=True), start=1):
            axes.plot([0, 1], [0, 1], color="0.75", linewidth=1, zorder=1)
            area = 250 * np.array(curve.count) / sum(curve.count)
            axes.plot(curve.confidence, curve.accuracy, color="C0", linewidth=1, zorder=2)
            axes.scatter(curve.confidence, curve.accuracy, s=area + 4, color="C0", zorder=3)
            axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence")
            axes.set_title(f"t = {t}, error {curve.expected_error:.3f}", fontsize=9)
        panels[0].set_ylabel("accuracy")
    return Path(out)
