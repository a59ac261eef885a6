"""Tables for people: what the commands print without `--json`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nogs_bench.figures.families import family_table, of_families
from nogs_bench.figures.narrow import fitted
from nogs_bench.figures.texts import (
    estimate_text,
    percent,
    points,
    rank_text,
    rate_text,
    spans_text,
    target,
    times,
)
from nogs_bench.images import EVERY_SPLIT
from nogs_bench.tasks import TASKS, Task

if TYPE_CHECKING:
    from nogs_bench.methods import Method
    from nogs_bench.results import ScoreRow, Scores, SpanEstimate
    from nogs_bench.tasks import Chosen

WIDTH_OF_FILES = 160
MANY = 5  # tasks of a family are one row; `--json` names them


def print_tables(*tables: Table) -> None:
    """Print to standard output, as wide as the terminal or as COLUMNS says, else 160 columns into
    a file or pipe. No figure is cut: what is too wide is printed as a list."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=WIDTH_OF_FILES)
    for table in tables:
        console.print(fitted(table, console))


def tasks_tables(tasks: Sequence[Task]) -> list[Table]:
    """The tasks, one a row, and the image families that they are about."""
    shape = empty_table("Tasks", "task", "images", "image", "glimpse", "cells", "T", "classes")
    for column in EVERY_SPLIT:
        shape.add_column(column, justify="right")
    shape.add_column("protocols")
    families = empty_table(
        "Images", "images", "where they come from", "licence", "of the sequences"
    )
    for name, task in _alike(tasks):
        shape.add_row(
            name,
            task.family,
            f"{task.image_size} x {task.image_size} x {task.channels}",
            f"{task.glimpse_size} x {task.glimpse_size}",
            f"{task.grid.shape[0]} x {task.grid.shape[1]}",
            str(task.T),
            str(len(task.classes)),
            *(f"{count:,}" for count in (task.splits.train, task.splits.validation)),
            f"{task.splits.test:,}",
            ", ".join(protocol.name for protocol in task.protocols),
        )
    for family, task in {task.family: task for task in tasks}.items():
        families.add_row(family, escape(task.source.summary), task.images_licence, task.licence)
    return [shape, families]


def _alike(tasks: Sequence[Task]) -> Iterator[tuple[str, Task]]:
    """What a row is called, and its task: of the many tasks of a family, one for all."""
    for family, own in groupby(tasks, lambda task: task.family):
        members = list(own)
        if len(members) < MANY:
            yield from ((task.name, task) for task in members)
        else:
            yield f"{family}-* ({len(members)})", members[0]


def choices_table(chosen: Chosen) -> Table:
    """What was chosen for images of a user's own, a number a row."""
    facts = chosen.facts
    title = f"{facts.name}: {facts.images:,} images of {facts.classes} classes"
    table = empty_table(f"{title}, {chosen.minutes:g} minutes", "choice", "value", "why")
    for choice in chosen.choices.values():
        table.add_row(choice.name, escape(str(choice.value)), escape(choice.why))
    return table


def methods_table(methods: Iterable[Method]) -> Table:
    """One row for each method."""
    table = empty_table("Methods", "method", "what it does", "from")
    for method in methods:
        table.add_row(method.name, escape(method.description), escape(method.reference))
    return table


def quality_table(record: Mapping[str, Any]) -> Table:
    """The posterior along built and random sequences, from a dataset's `provenance.json`.

    Its expected calibration error is that along uniform glimpses, the same draw in every build.
    """
    quality: Mapping[str, Mapping[str, Sequence[float]]] = record["quality"] or {}
    title = f"{record['task']}: {record['annotated']:,} sequences; the posterior after t glimpses"
    errors = (record.get("calibration") or {}).get("expected_calibration_error")
    if errors:
        quality = {**quality, "uniform": {"expected_calibration_error": errors}}
    steps = range(1, 1 + max((len(v) for q in quality.values() for v in q.values()), default=0))
    table = empty_table(title, "sequences", "quantity", *(f"t = {t}" for t in steps))
    for name, quantities in quality.items():
        for quantity, values in quantities.items():
            cells = [f"{value:.3f}" for value in values]
            table.add_row(name, quantity.replace("_", "-"), *cells)
    return table


def scores_tables(scores: Scores) -> list[Table]:
    """One table for each task, protocol and model; one row for each method and learning rate.

    A figure stands before its interval over seeds, as `nogs_bench.figures.texts` writes them. Many
    tasks of one family share a table (`families`): means and medians over them, then a row each.
    """
    large, rest = of_families(scores.rows)

    def setting(row: ScoreRow) -> tuple[str, str, str]:
        return row.task, row.protocol, row.model

    each = [_scores_table(*key, list(rows)) for key, rows in groupby(rest, key=setting)]
    return [*(_family_table(family, rows) for family, rows in large), *each]


def _family_table(family: str, rows: Sequence[ScoreRow]) -> Table:
    found = family_table(family, rows)
    table = empty_table(escape(found.title), *map(escape, found.heads))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row(*map(escape, found.means))
    table.add_row(*map(escape, found.medians), end_section=True)
    for cells in found.tasks:
        table.add_row(*map(escape, cells))
    return table


def _scores_table(task: str, protocol: str, model: str, rows: Sequence[ScoreRow]) -> Table:
    first, reference = rows[0], TASKS[task].reference
    title = f"{task}, {protocol}, {model}: {first.iterations:,} iterations"
    table = empty_table(title, *(head for head, _ in score_columns(rows)))
    published = any(row.method in reference for row in rows)
    if published:
        table.add_column(f"published: {escape(str(reference.get('source', 'the paper')))}")
    for row in rows:
        known = _published(reference.get(row.method, {}))
        cells = [escape(write(row)) for _, write in score_columns(rows)]
        table.add_row(*cells, *([known] if published else []))
    remarks = dict.fromkeys(remark for row in rows for remark in row.remarks)
    if remarks:
        table.caption = escape("; ".join(remarks))
    return table


# What follows a target that is about it.
JUDGED = {"accuracy": "", "balanced_accuracy": " balanced"}
Column = tuple[str, Callable[["ScoreRow"], str]]


def score_columns(rows: Sequence[ScoreRow]) -> list[Column]:
    """What is shown of the rows of one task, protocol and model: each column's head and cells."""
    first = rows[0]
    columns: list[Column] = [
        ("method", lambda row: row.method),
        ("rate", lambda row: rate_text(row.learning_rate)),
        ("seeds", lambda row: str(len(row.seeds))),
        ("rank", lambda row: rank_text(row.rank)),
        ("as good as ram ever gets", lambda row: spans_text(row.as_good)),
        ("times sooner than ram", lambda row: spans_text(row.headline, times)),
        (f"iterations to {target(first.target_accuracy)} %{JUDGED[first.judged_by]}", _to_target),
        ("times sooner", lambda row: spans_text(row.speed_ups.get("time_to_target"), times)),
        ("converged, the paper's way", lambda row: spans_text(row.convergence)),
        ("test accuracy, %", lambda row: estimate_text(row.test_accuracy, percent)),
        ("area over ram's, points", lambda row: estimate_text(row.area_gain, points)),
    ]
    if any(row.with_pretraining for row in rows):
        after = ("with pre-training", lambda row: spans_text(_counted(row), times))
        columns.insert(6, after)
    if all(row.test_balanced_accuracy is not None for row in rows):
        write = lambda row: estimate_text(row.test_balanced_accuracy, percent)  # noqa: E731
        columns.append(("balanced, %", write))
    if all(row.anytime is not None for row in rows):
        columns.append(("% after each glimpse", _anytime))
    return columns


def _anytime(row: ScoreRow) -> str:
    return " ".join(percent(each.mean) for each in row.anytime or ())


def _to_target(row: ScoreRow) -> str:
    return spans_text(row.time_to_target)


def _counted(row: ScoreRow) -> SpanEstimate | None:
    return row.with_pretraining.get("as_good")


def _published(quantities: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in quantities.items())


def empty_table(title: str, *columns: str) -> Table:
    """An empty table in the style of all."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
