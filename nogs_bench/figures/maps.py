"""Maps over an image's area: a value for each location, and how often each pixel was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.lines import line_names
from nogs_bench.files import PROVENANCE
from nogs_bench.results import entries_of, load_results, location_counts
from nogs_bench.sequences import dataset_folder, load, recorded_grid
from nogs_bench.tasks import TASKS, GlimpseGrid, Task, get_task

UNSEEN = (0.86, 0.87, 0.89)
CHOSEN = "#e4002b"
# A row of maps: its grid, and counts of locations (T, cells).
Looks = tuple[GlimpseGrid, np.ndarray]


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


def plot_locations(source: str | Path, out: str | Path, task: str | Task | None = None) -> Path:
    """Draw how often each pixel was seen at each step (the paper's figure 4); returns `out`.

    Of results, a row of T maps for each task, protocol, method, model and learning rate, over all
    test images, rollouts and seeds; each map has its own scale. Of a dataset, `draw_locations` of
    its annotated images.

    **Arguments**

    - `source`: the folder that `nogs-bench evaluate` wrote; or a dataset: a folder, a task's name
      or a name on the Hub, as `nogs_bench.load` has it.
    - `out`: a `.png` or `.svg` file.
    - `task`: registers a task of the user's own (`FILE.py:NAME`) first.

    Raises `NogsError` if there are no results, they do not belong together, as `score` does, or one
    says nothing of locations; or there is no such dataset, or it holds no sequence.
    """
    folder = Path(source)
    of_results = folder.is_dir() or task is not None
    if of_results and not (folder / PROVENANCE).is_file():
        return _plot_results(folder, Path(out), task)
    try:
        return _plot_dataset(source, out)
    except NogsError as error:
        if folder.exists():
            raise
        raise NogsError(f"{error}; nor is there a folder of results {source}") from error


def _plot_results(results: Path, out: Path, task: str | Task | None) -> Path:
    if task is not None:
        get_task(task)
    looks = _looks(results)
    steps = max(counts.shape[0] for _, (_, counts) in looks)
    with drawing(out, (1.25 * steps + 1.6, 1.4 * len(looks) + 0.3)) as figure:
        grid = figure.add_gridspec(len(looks), steps + 1, wspace=0.08, hspace=0.25)
        for row, (name, (cells, counts)) in enumerate(looks):
            note = figure.add_subplot(grid[row, 0])
            note.axis("off")
            note.text(0.95, 0.5, name.replace(", ", "\n"), ha="right", va="center", fontsize=8)
            for t, seen in enumerate(observed(cells, counts)):
                _draw(figure.add_subplot(grid[row, t + 1]), seen, f"t = {t + 1}")
    return out


def _plot_dataset(dataset: str | Path, out: str | Path) -> Path:
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


def observed(grid: GlimpseGrid, counts: np.ndarray) -> np.ndarray:
    """The share of glimpses that show each pixel, float (T, size, size).

    `counts`: (T, cells), how often a glimpse was taken at each location.
    """
    seen = np.zeros((len(counts), grid.image_size, grid.image_size))
    for cell in np.flatnonzero(counts.any(0)):
        row, col = grid.pixels[cell]
        side = grid.glimpse_size
        seen[:, row : row + side, col : col + side] += counts[:, cell, None, None]
    return seen / np.maximum(counts.sum(1), 1)[:, None, None]


def _looks(folder: Path) -> list[tuple[str, Looks]]:
    """What each entry is called, and where its runs looked."""
    found = []
    for entries in entries_of(load_results(folder)):
        lines = [(own[0].method, own[0].hyperparameters.learning_rate) for own in entries]
        names = line_names(lines)
        for line, runs in zip(lines, entries, strict=True):
            first = runs[0]
            name = ", ".join([first.task, first.protocol, names[line], first.model.name])
            task = TASKS[first.task]
            found.append((name, (task.grid, location_counts(runs, task.T, task.grid.cells))))
    return found


def _draw(axes: Any, seen: np.ndarray, title: str) -> None:
    size = seen.shape[0]
    axes.imshow(seen, cmap="magma", vmin=0, interpolation="nearest", extent=(0, size, size, 0))
    axes.set_title(title, fontsize=8, pad=2)
    axes.set(xticks=[], yticks=[])
