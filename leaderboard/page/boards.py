"""The page's boards: a task under a protocol, with an entry a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nogs_bench.figures import method_text
from nogs_bench.leaderboard.charts import Series, curves
from nogs_bench.leaderboard.page.marks import style_of, taught
from nogs_bench.leaderboard.places import StepMap, location_maps
from nogs_bench.results import RunResult, ScoreRow, Scores, entry_key
from nogs_bench.tasks import TASKS, Task

MAPPED = 8


@dataclass(frozen=True)
class Entry:
    """A row of a board, with its own part of the page.

    - `marks`: what the page's filters look at, as `data-` attributes.
    """

    number: int
    row: ScoreRow
    runs: tuple[RunResult, ...]
    style: int
    marks: dict[str, str]
    chart: str
    maps: tuple[StepMap, ...]

    @property
    def anchor(self) -> str:
        return f"entry-{self.number}"


@dataclass(frozen=True)
class Board:
    """One task under one protocol."""

    number: int
    task: Task
    protocol: str
    entries: tuple[Entry, ...]
    chart: str

    @property
    def anchor(self) -> str:
        return f"board-{self.number}"

    @property
    def judged_by(self) -> str:
        return judged_by(self.task)

    @property
    def usual(self) -> ScoreRow:
        """A row of the reference model, or of the first there is."""
        rows = [entry.row for entry in self.entries]
        return next((row for row in rows if row.model == "reference"), rows[0])

    @property
    def remarks(self) -> list[str]:
        """What of its runs is of older rules."""
        return list(dict.fromkeys(each for entry in self.entries for each in entry.row.remarks))

    @property
    def mapped(self) -> list[Entry]:
        """The entries whose location maps stand side by side."""
        return [entry for entry in self.entries if entry.maps][:MAPPED]


def judged_by(task: Task) -> str:
    """What the task's target is about, in words."""
    return task.judged_by.replace("_", " ")


def boards_of(scores: Scores, runs: Sequence[RunResult]) -> list[Board]:
    def board_of(row: ScoreRow) -> tuple[str, str]:
        return row.task, row.protocol

    by_entry: dict[tuple[str, str, str, str, float], list[RunResult]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        by_entry.setdefault(entry_key(run), []).append(run)
    boards: list[Board] = []
    number = 0
    for (name, protocol), own in groupby(sorted(scores.rows, key=board_of), key=board_of):
        task = TASKS[name]
        entries, lines = [], []
        for row in sorted(own, key=_order):
            members = by_entry[name, protocol, row.method, row.model, row.learning_rate]
            entry, line = _entry(number, row, members, task)
            entries.append(entry)
            lines.append(line)
            number += 1
        judged = judged_by(task)
        chart = curves(
            lines,
            entries[0].row.target_accuracy,
            judged,
            f"Validation {judged} while training on {name}, {protocol}; "
            "the numbers are in the table.",
        )
        boards.append(Board(len(boards), task, protocol, tuple(entries), chart))
    return boards


def _order(row: ScoreRow) -> tuple[float, float]:
    return row.time_to_target.middle.low, -row.test_accuracy.mean


def _entry(number: int, row: ScoreRow, runs: list[RunResult], task: Task) -> tuple[Entry, Series]:
    marks = {
        "method": row.method,
        "model": row.model,
        "cost": str(runs[0].model.multiply_adds),
        "taught": taught(runs[0]),
        "entry": str(number),
    }
    line = Series(
        name=f"{method_text(row)}, {row.model}",
        style=style_of(row.method),
        x=np.array([point.iteration for point in runs[0].curve]),
        values=np.array([[p.judged(task.judged_by) for p in run.curve] for run in runs]),
        marks=marks,
        dashed=row.model != "reference",
    )
    judged = judged_by(task)
    label = f"Validation {judged} of each seed of {method_text(row)}, {row.model}, on {row.task}"
    chart = curves([line], row.target_accuracy, judged, label, seeds=True)
    maps = tuple(location_maps(runs, task.grid))
    return Entry(number, row, tuple(runs), style_of(row.method), marks, chart, maps), line
