"""Figures of many runs: how soon each method converges on each task, and where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.lines import Line, colour_of, line_names
from nogs_bench.results import RunResult, ScoreRow, SpanEstimate, entries_of, load_results, score
from nogs_bench.tasks import TASKS, GlimpseGrid, Task, get_task

# More tasks than these have narrow bars.
MANY = 10
# A row of maps: its grid, and counts of locations (T, cells).
Looks = tuple[GlimpseGrid, np.ndarray]


def plot_bars(results: str | Path, out: str | Path, task: str | Task | None = None) -> Path:
    """Draw the iterations to convergence of every task and method (figure 5); returns `out`.

    The criterion is the task's own (`ScoreRow.convergence`). A bar ends at
    the upper end of the middle of the seeds. Where that has no upper end, the bar ends at the lower
    one and bears an arrow. The thin line is the interval over seeds. If no run learned, there is a
    cross instead of a bar. Tasks are in the order of the first method's times.

    **Arguments**

    - `results`: the folder that `nogs-bench evaluate` wrote.
    - `out`: a `.png` or `.svg` file.
    - `task`: registers a task of the user's own (`FILE.py:NAME`) first.

    Raises `NogsError` if there are no results, or one is damaged or of an unknown task.
    """
    groups: dict[str, dict[Line, ScoreRow]] = {}
    rows = score(results, task).rows
    settings = {(row.protocol, row.model) for row in rows}
    for row in rows:
        parts = [row.task] if len(settings) == 1 else [row.task, row.protocol, row.model]
        groups.setdefault(", ".join(parts), {})[row.method, row.learning_rate] = row
    bars = line_names((row.method, row.learning_rate) for row in rows)
    order = sorted(
        groups, key=lambda name: next(iter(groups[name].values())).convergence.middle.low
    )
    of_one = _shared_family(rows) if len(settings) == 1 else ""
    names = [name.removeprefix(f"{of_one}-") for name in order]
    step = 0.3 if len(order) <= MANY else 0.12
    with drawing(Path(out), (max(3.2, 1.2 + step * len(order) * len(bars)), 3.6)) as figure:
        axes = figure.subplots()
        width = 0.8 / len(bars)
        colours = [colour_of(method) for method, _ in bars]
        for number, (bar, label) in enumerate(bars.items()):
            at = [i for i, name in enumerate(order) if bar in groups[name]]
            found = [groups[order[i]][bar].convergence for i in at]
            place = np.array(at) + (number - (len(bars) - 1) / 2) * width
            look = {"color": colours[number], "hatch": _hatch(colours, number), "label": label}
            _draw_bars(axes, place, width, found, look)
        axes.set_xticks(range(len(order)), names, rotation=90 if len(order) > 4 else 0, fontsize=8)
        axes.margins(x=0.01)
        axes.set(xlabel=of_one, ylabel="iterations to convergence", ylim=(0, None))
        axes.grid(axis="y", color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
    return Path(out)


def _shared_family(rows: Sequence[ScoreRow]) -> str:
    """The family that all tasks are of and named after; "" if there is none."""
    family = TASKS[rows[0].task].family
    return family if all(row.task.startswith(f"{family}-") for row in rows) else ""


def _hatch(colours: Sequence[str], number: int) -> str:
    """What tells a bar from earlier ones of its colour."""
    return ("", "////", "....", "xxxx")[colours[:number].count(colours[number]) % 4]


def _draw_bars(
    axes: Any, place: np.ndarray, width: float, found: list[SpanEstimate], look: dict[str, Any]
) -> None:
    """One bar for each of a method's times; what is unknown of them is drawn as unknown."""
    none = np.array([each.unlearned == len(each.values) for each in found])
    ends = [each.middle.high if each.middle.reached else each.middle.low for each in found]
    heights = np.where(none, 0.0, ends)
    axes.bar(place, heights, width, edgecolor="white", linewidth=0, **look)
    style: dict[str, Any] = {"color": "0.25", "linestyle": "none"}
    axes.plot(place[none], heights[none], marker="x", markersize=4, **style)
    open_ended = np.array([not each.middle.reached for each in found]) & ~none
    axes.plot(place[open_ended], heights[open_ended], marker="^", markersize=4, **style)
    for at, each in zip(place, found, strict=True):
        if each.interval is not None and each.interval.bounded:
            axes.vlines(at, each.interval.low, each.interval.high, color="0.25", linewidth=0.9)


def plot_locations(results: str | Path, out: str | Path, task: str | Task | None = None) -> Path:
    """Draw how often each pixel was seen at each step of the test (figure 4); returns `out`.

    One row of T maps for each task, protocol, method, model and learning rate, over all test
    images, rollouts and seeds; each map has its own scale.

    **Arguments**

    - `results`: the folder that `nogs-bench evaluate` wrote.
    - `out`: a `.png` or `.svg` file.
    - `task`: registers a task of the user's own (`FILE.py:NAME`) first.

    Raises `NogsError` if there are no results, they do not belong together, as `score` does, or one
    says nothing of locations.
    """
    if task is not None:
        get_task(task)
    looks = _looks(Path(results))
    steps = max(counts.shape[0] for _, (_, counts) in looks)
    with drawing(Path(out), (1.25 * steps + 1.6, 1.4 * len(looks) + 0.3)) as figure:
        grid = figure.add_gridspec(len(looks), steps + 1, wspace=0.08, hspace=0.25)
        for row, (name, (cells, counts)) in enumerate(looks):
            note = figure.add_subplot(grid[row, 0])
            note.axis("off")
            note.text(0.95, 0.5, name.replace(", ", "\n"), ha="right", va="center", fontsize=8)
            for t, seen in enumerate(observed(cells, counts)):
                _draw(figure.add_subplot(grid[row, t + 1]), seen, f"t = {t + 1}")
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
            found.append((name, _counted(runs)))
    return found


def _counted(runs: Sequence[RunResult]) -> Looks:
    task = TASKS[runs[0].task]
    counts = np.zeros((task.T, task.grid.cells), np.int64)
    for run in runs:
        if run.locations is None:
            raise NogsError(
                f"{run.name} does not say where it looked; delete its result and evaluate again"
            )
        if len(run.locations) != task.T:
            raise NogsError(f"{run.name} took {len(run.locations)} glimpses, not {task.T}")
        for t, step in enumerate(run.locations):
            if step.cells[-1] >= task.grid.cells:
                raise NogsError(f"{run.name} looked at cell {step.cells[-1]}, which its task lacks")
            counts[t, list(step.cells)] += step.counts
    return task.grid, counts


def _draw(axes: Any, seen: np.ndarray, title: str) -> None:
    size = seen.shape[0]
    axes.imshow(seen, cmap="magma", vmin=0, interpolation="nearest", extent=(0, size, size, 0))
    axes.set_title(title, fontsize=8, pad=2)
    axes.set(xticks=[], yticks=[])
