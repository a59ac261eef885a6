"""Tables for people: what the commands print without `--json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nogs_bench.tasks import Task, get_task

if TYPE_CHECKING:
    from nogs_bench.methods import Method
    from nogs_bench.results import Estimate, ScoreRow, Scores, SpeedUp

WIDTH_OF_FILES = 160


def print_tables(*tables: Table) -> None:
    """Print to standard output, as wide as the terminal, or 160 columns into a file or pipe."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    for table in tables:
        console.print(table)


def tasks_tables(tasks: Sequence[Task]) -> list[Table]:
    """The tasks, one a row, and the image families that they are about."""
    shape = empty_table("Tasks", "task", "images", "image", "glimpse", "cells", "T", "classes")
    for column in ("train", "validation", "test"):
        shape.add_column(column, justify="right")
    shape.add_column("protocols")
    families = empty_table(
        "Images", "images", "where they come from", "licence", "of the sequences"
    )
    for task in tasks:
        shape.add_row(
            task.name,
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
    """One table for each task, protocol and model; one row for each method.

    A number stands before its 95 % bootstrap interval over seeds; `>` marks a lower bound, where
    a run ended before it got there.
    """

    def setting(row: ScoreRow) -> tuple[str, str, str]:
        return row.task, row.protocol, row.model

    return [_scores_table(*key, list(rows)) for key, rows in groupby(scores.rows, key=setting)]


def _scores_table(task: str, protocol: str, model: str, rows: Sequence[ScoreRow]) -> Table:
    first, reference = rows[0], get_task(task).reference
    title = f"{task}, {protocol}, {model}: {first.iterations:,} iterations"
    table = empty_table(
        title,
        "method",
        "seeds",
        "rank",
        "iterations to convergence",
        f"iterations to {100 * first.target_accuracy:.0f} %",
        "speed-up over ram",
        "test accuracy, %",
        "best validation, %",
    )
    published = any(row.method in reference for row in rows)
    if published:
        table.add_column(f"published: {escape(str(reference.get('source', 'the paper')))}")
    for row in rows:
        known = _published(reference.get(row.method, {}))
        table.add_row(
            row.method,
            str(len(row.seeds)),
            rank_text(row.rank),
            estimate_text(row.convergence, _iterations),
            estimate_text(row.time_to_target, _iterations),
            speed_up_text(row.speed_up),
            estimate_text(row.test_accuracy, _percent),
            estimate_text(row.best_accuracy, _percent),
            *([known] if published else []),
        )
    return table


def estimate_text(estimate: Estimate, form: Callable[[float], str]) -> str:
    """`mean [low, high]`; the mean alone for one seed or no time; `>` before lower bounds."""
    bound = ">" if estimate.censored else ""
    if len(estimate.values) in (1, estimate.censored):
        return f"{bound}{form(estimate.mean)}"
    return escape(f"{bound}{form(estimate.mean)} [{form(estimate.low)}, {form(estimate.high)}]")


def rank_text(rank: tuple[int, int] | None) -> str:
    """`2`, or `2 to 4` where seeds do not separate methods."""
    if rank is None:
        return ""
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}"


def speed_up_text(speed_up: SpeedUp | None) -> str:
    """`2.1 x [1.8, 2.4]`, `>2.1 x`, `<0.5 x`, or `1.2 to 3.4 x` where only bounds are known."""
    if speed_up is None:
        return ""
    if speed_up.at_least == 0 and speed_up.at_most is None:
        return "not known"
    if speed_up.at_most is None:
        return f">{speed_up.at_least:.1f} x"
    if speed_up.at_least == 0:
        return f"<{speed_up.at_most:.1f} x"
    if not speed_up.exact:
        return f"{speed_up.at_least:.1f} to {speed_up.at_most:.1f} x"
    if len(speed_up.seeds) == 1 or speed_up.high is None:
        return f"{speed_up.at_least:.1f} x"
    return escape(f"{speed_up.at_least:.1f} x [{speed_up.low:.1f}, {speed_up.high:.1f}]")


def _published(quantities: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in quantities.items())


def _iterations(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def empty_table(title: str, *columns: str) -> Table:
    """An empty table in the style of all."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
