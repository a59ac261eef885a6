"""Where the glimpses of each step lie, over all annotated images (the paper's figure 4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures import drawing, observed
from nogs_bench.sequences import dataset_folder, load, recorded_grid
from nogs_bench.tasks import GlimpseGrid


def plot_locations(dataset: str | Path, out: str | Path) -> Path:
    """As `draw_locations`, of a dataset's annotated images; returns `out`.

    `dataset` is a folder, a task's name or a name on the Hub, as `nogs_bench.load` has it.
    Raises `NogsError` if there is no such dataset, it is not whole or holds no sequence.
    """
    rows = load(dataset, "annotations", split="train").with_format("numpy")
    annotated = np.flatnonzero(rows["annotated"][:])
    if not len(annotated):
        raise NogsError(f"{dataset} holds no sequence: there is nothing to draw")
    grid = recorded_grid(dataset_folder(dataset, "annotations"))
    return draw_locations(rows["glimpses"][:][annotated], grid, out)


def draw_locations(glimpses: np.ndarray, grid: GlimpseGrid, out: str | Path) -> Path:
    """Draw how often each pixel is seen at step t = 1 .. T; returns `out`.

    - `glimpses`: integer (n, T, 2), pixel (row, col) of each glimpse's top-left corner.
    - `out`: a `.png` or `.svg` file.

    Colour follows the square root of the share of images, each panel up to its own greatest,
    which its title says.
    """
    steps = glimpses.shape[1]
    taken = np.apply_along_axis(np.bincount, 0, grid.pixel_to_index(glimpses), None, grid.cells)
    with drawing(Path(out), (1.7 * steps, 2.0)) as figure:
        panels = figure.subplots(1, steps, squeeze=False)[0]
        for t, (axes, share) in enumerate(zip(panels, observed(grid, taken.T), strict=True)):
            axes.imshow(np.sqrt(share), cmap="viridis", vmin=0, interpolation="nearest")
            axes.set_title(f"t = {t + 1}, at most {share.max():.0%}", fontsize=8)
            axes.set(xticks=[], yticks=[])
    return Path(out)
