"""Tables of what the builders' commands print without `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from nogs_bench.figures import empty_table

if TYPE_CHECKING:
    from nogs_bench.builders.compare import AvpMeasure, CompletionMeasure
    from nogs_bench.builders.dataset import Published
    from nogs_bench.builders.estimate import BuildEstimate


def completions_table(task: str, measures: Iterable[CompletionMeasure]) -> Table:
    """One row for each completion; distances are root mean squares, pixel values in 0 .. 1."""
    table = empty_table(
        f"Completions of {task}: samples beside the images that they complete",
        "completion",
        "off at the glimpses",
        "off elsewhere",
        "diversity",
        "of the posterior's",
        "effective samples",
        "set-up, s",
        "a sample, s",
    )
    for each in measures:
        distances = (each.at_glimpses, each.elsewhere, each.diversity)
        table.add_row(
            each.name,
            *(f"{value:.3f}" for value in distances),
            "not known" if each.coverage is None else f"{each.coverage:.0%}",
            f"{each.effective_samples:.1f}",
            f"{each.setup_seconds:.1f}",
            f"{each.seconds:.2g}",
        )
    return table


def avp_table(task: str, measures: Iterable[AvpMeasure]) -> Table:
    """One row for each network of the posterior; lists are over t = 1 .. T."""
    table = empty_table(
        f"Posteriors of {task}, on held-out images at random glimpses",
        "network",
        "cross-entropy, nats",
        "calibration error",
        "epochs",
        "training, s",
        "evaluations a second",
        "of whole sequences",
    )
    for each in measures:
        table.add_row(
            each.network,
            " ".join(f"{value:.3f}" for value in each.cross_entropy) or "not trained",
            " ".join(f"{value:.3f}" for value in each.calibration_error) or "not trained",
            str(each.epochs),
            "not known" if each.seconds is None else f"{each.seconds:.0f}",
            f"{each.prepared:,.0f}",
            f"{each.whole:,.0f}",
        )
    return table


def judged_table(measures: Sequence[AvpMeasure]) -> Table:
    """Sequences that networks of the posterior chose, as the first one sees them."""
    judge = measures[0].network
    table = empty_table(
        f"Sequences, judged by {judge}",
        "chosen by",
        "entropy, nats",
        "cross-entropy, nats",
        "± of the difference",
    )
    for each in measures:
        rows = (each.judged_entropy, each.judged_cross_entropy, each.judged_error)
        table.add_row(each.network, *(" ".join(f"{value:.3f}" for value in row) for row in rows))
    return table


def published_tables(outcomes: Sequence[Published], dry_run: bool) -> list[Table]:
    """Where datasets went; for a dry run of one, its files and its card's fields."""
    table = empty_table(
        "Would be published" if dry_run else "Published",
        "repository",
        "visible to",
        "tag",
        "files",
        "bytes",
        "licence",
    )
    if not dry_run:
        table.add_column("commit")
    for each in outcomes:
        commit = (each.commit or "")[:12] + ("" if each.changed else ", as it was")
        table.add_row(
            each.repo,
            "its owner" if each.private else "everyone",
            each.tag,
            str(len(each.files)),
            f"{sum(each.files.values()):,}",
            str(each.card["license"]),
            *([] if dry_run else [commit]),
        )
    if not dry_run or len(outcomes) > 1:
        return [table]
    files = empty_table("Files", "file", "bytes")
    for name, size in outcomes[0].files.items():
        files.add_row(name, f"{size:,}")
    fields = empty_table("The card's fields", "field", "value")
    for name, value in outcomes[0].card.items():
        fields.add_row(name, escape(str(value)))
    return [table, files, fields]


def estimate_tables(estimate: BuildEstimate) -> list[Table]:
    """What a build makes, stage by stage, and what it costs in all."""
    tasks = estimate.tasks
    stages = empty_table(
        f"{tasks[0] if len(tasks) == 1 else f'{len(tasks)} tasks'}, {estimate.images:,} images",
        "stage",
        "shards",
        "bytes",
        estimate.unit,
        "hours lost if a worker dies",
    )
    for stage in estimate.stages:
        lost = "not measured" if stage.lost_hours is None else _hours(stage.lost_hours)
        stages.add_row(
            stage.stage, f"{stage.shards:,}", _size(stage.bytes), _span(stage.hours), lost
        )
    more = "more than " if estimate.unknown else ""
    hours = "not measured" if estimate.nothing_known else f"{more}{_span(estimate.hours)}"
    stages.add_row("all", "", _size(estimate.bytes), hours, "")
    if estimate.nothing_known:
        stages.caption = (
            f"the rates of {estimate.hardware} have none for {', '.join(estimate.unknown)}; "
            "--rates takes others"
        )
        return [stages]
    workers = f"{estimate.workers:,} worker{'s' if estimate.workers > 1 else ''}"
    stages.caption = (
        f"rates of {estimate.hardware}; with {workers}: {more}{_span(estimate.days)} days; "
        f"if a machine with {estimate.workers_a_node} workers dies: at most "
        f"{_hours(estimate.lost_hours)} hours of work lost"
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
