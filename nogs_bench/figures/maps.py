"""Maps over an image's area: one value for each location, a frame, and a cross where one looks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nogs_bench.tasks import GlimpseGrid

UNSEEN = (0.86, 0.87, 0.89)
CHOSEN = "#e4002b"


def draw_map(
    axes: Any, grid: GlimpseGrid, values: np.ndarray, place: np.ndarray | None, **look: Any
) -> Any:
    """Draw a value for each location, each around the centre of its glimpse; returns the mesh.

    - `values`: (grid rows, grid columns); nothing is drawn where it is not finite.
    - `place`: pixel (row, col) of the glimpse that a cross marks.
    - `look`: of `pcolormesh`.
    """
    edges = [_cell_edges(steps, grid) for steps in (grid.cols, grid.rows)]
    mesh = axes.pcolormesh(*edges, np.ma.masked_invalid(values), rasterized=True, **look)
    if place is not None:
        row, col = place + grid.glimpse_size / 2
        axes.plot(col, row, "x", color="white", markersize=9, markeredgewidth=3.6)
        axes.plot(col, row, "x", color=CHOSEN, markersize=8, markeredgewidth=2)
    frame(axes, grid.image_size)
    return mesh


def frame(axes: Any, size: int) -> None:
    """Give axes the area of an image of size x size pixels, and a thin border."""
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.75", linewidth=0.8)


def _cell_edges(steps: tuple[int, ...], grid: GlimpseGrid) -> np.ndarray:
    """Borders between cells whose glimpses begin at `steps`, pixels; the outer ones the image's."""
    centres = np.asarray(steps, float) + grid.glimpse_size / 2
    return np.concatenate([[0], (centres[1:] + centres[:-1]) / 2, [grid.image_size]])
