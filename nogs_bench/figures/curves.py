"""How training went: validation accuracy against iterations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.lines import colour_of, line_names
from nogs_bench.results import RunResult, entries_of, load_results
from nogs_bench.tasks import TASKS, Task, get_task


def plot_curves(results: str | Path, out: str | Path, task: str | Task | None = None) -> Path:
    """Draw validation accuracy against iterations for every result in a folder; returns `out`.

    There is one panel for each task, protocol and model. It has one line for each method and
    learning rate: the mean over seeds, in a band from the least seed to the greatest. The task's
    target is a dotted line.

    **Arguments**

    - `results`: the folder that `nogs-bench evaluate` wrote.
    - `out`: a `.png` or `.svg` file.
    - `task`: registers a task of the user's own (`FILE.py:NAME`) first.

    Raises `NogsError` if there are no results, or they do not belong together, as `score` does.
    """
    if task is not None:
        get_task(task)
    panels = entries_of(load_results(Path(results)))
    with drawing(Path(out), (4.6 * len(panels), 3.2)) as figure:
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, entries in zip(every, panels, strict=True):
            _draw_curves(axes, entries)
    return Path(out)


def _draw_curves(axes: Any, entries: Sequence[list[RunResult]]) -> None:
    first = entries[0][0]
    task = TASKS[first.task]
    judged_by = task.judged_by
    lines = {(runs[0].method, runs[0].hyperparameters.learning_rate): runs for runs in entries}
    drawn: list[str] = []
    for line, name in line_names(lines).items():
        method, runs = line[0], lines[line]
        colour, seeds = colour_of(method), len(runs)
        style = ("-", "--", "-.", ":")[drawn.count(colour) % 4]
        drawn.append(colour)
        at = np.array(sorted(set.intersection(*({p.iteration for p in r.curve} for r in runs))))
        values = np.array(
            [[p.judged(judged_by) for p in run.curve if p.iteration in at] for run in runs]
        )
        label = f"{name} ({seeds} seed{'s' if seeds > 1 else ''})"
        axes.plot(at, 100 * values.mean(0), style, color=colour, linewidth=1.6, label=label)
        axes.fill_between(
            at, 100 * values.min(0), 100 * values.max(0), color=colour, alpha=0.18, linewidth=0
        )
    target = 100 * task.protocol(first.protocol).target_accuracy
    axes.axhline(target, color="0.5", linewidth=0.9, linestyle=":", label="target")
    axes.set_title(f"{task.name}, {first.protocol}, {first.model.name}", fontsize=9, loc="left")
    axes.set(
        xlabel="iterations",
        ylabel=f"validation {judged_by.replace('_', ' ')}, %",
        xlim=(0, None),
    )
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
