"""How soon each method converges on each task, as bars (the paper's figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.lines import Line, colour_of, line_names
from nogs_bench.results import ScoreRow, SpanEstimate, score
from nogs_bench.tasks import TASKS, Task

# More tasks than these have narrow bars.
MANY = 10


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
