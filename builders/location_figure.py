"""Where the glimpses of each step lie, over all annotated images (the paper's figure 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.drawing import drawing
from nogs_bench.geometry import GlimpseGrid
from nogs_bench.plots import cell_edges


def draw_locations(glimpses: np.ndarray, grid: GlimpseGrid, out: str | Path) -> Path:
    """Draw the share of images that look at each location at step t = 1 .. T; returns `out`.

    - `glimpses`: integer (n, T, 2), pixel (row, col) of each glimpse's top-left corner.
    - `out`: a `.png` or `.svg` file.

    Each panel is the image's area; a cell is coloured around the centre of its glimpse, by the
    square root of its share, and the commonest location's share is beside t.
    """
    cells = grid.pixel_to_index(glimpses)
    steps = cells.shape[1]
    with drawing(Path(out), (1.7 * steps, 2.0)) as figure:
        for t, axes in enumerate(figure.subplots(1, steps, squeeze=False)[0]):
            share = np.bincount(cells[:, t], minlength=grid.cells) / len(cells)
            _draw_share(axes, share.reshape(grid.shape), grid)
            axes.set_title(f"t = {t + 1}, at most {share.max():.0%}", fontsize=8)
    return Path(out)


def _draw_share(axes: Any, share: np.ndarray, grid: GlimpseGrid) -> None:
    edges = [cell_edges(steps, grid) for steps in (grid.cols, grid.rows)]
    axes.pcolormesh(*edges, np.sqrt(share), cmap="viridis", vmin=0, rasterized=True)
    size = grid.image_size
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.75", linewidth=0.8)
