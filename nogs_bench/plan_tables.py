"""The table of `nogs-bench build --plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from nogs_bench.tables import empty_table

if TYPE_CHECKING:
    from nogs_bench.builders.estimate import BuildEstimate


def estimate_tables(estimate: BuildEstimate) -> list[Table]:
    """What a build makes, stage by stage, and what it costs in all."""
    stages = empty_table(
        f"{len(estimate.tasks)} tasks, {estimate.images:,} images",
        "stage",
        "shards",
        "bytes",
        estimate.unit,
        "lost with a worker, hours",
    )
    for stage in estimate.stages:
        lost = "not measured" if stage.lost_hours is None else _hours(stage.lost_hours)
        stages.add_row(
            stage.stage, f"{stage.shards:,}", _size(stage.bytes), _span(stage.hours), lost
        )
    more = "more than " if estimate.unknown else ""
    stages.add_row("all", "", _size(estimate.bytes), f"{more}{_span(estimate.hours)}", "")
    stages.caption = (
        f"rates of {estimate.hardware}; {estimate.workers:,} workers: {more}{_span(estimate.days)} "
        f"days; losing a node of {estimate.workers_a_node}: at most "
        f"{_hours(estimate.lost_hours)} hours of work"
    )
    return [stages]


def _span(hours: tuple[float, float] | None) -> str:
    if hours is None:
        return "not measured"
    low, high = map(_hours, hours)
    return low if low == high else f"{low} to {high}"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
