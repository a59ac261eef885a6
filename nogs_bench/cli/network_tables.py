"""Tables of what `test` prints without `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from nogs_bench.figures import empty_table

if TYPE_CHECKING:
    from nogs_bench.trained import Judgement, KeptRun


def networks_table(runs: Sequence[KeptRun]) -> Table:
    """One row for each network that was kept, the best of each task first."""
    table = empty_table(
        f"{len(runs):,} network{'' if len(runs) == 1 else 's'}",
        "task",
        "protocol",
        "method",
        "model",
        "seed",
        "test, %",
        "result",
    )
    for run in runs:
        shown = (run.task, run.protocol, run.method, run.model, str(run.seed))
        table.add_row(*shown, f"{100 * run.accuracy:.1f}", escape(run.path))
    return table


def judgement_tables(found: Judgement) -> list[Table]:
    """How well a network does, by ways of looking, and class by class."""
    T = len(found.policies["single"].after)
    table = empty_table(
        f"{found.task}, {found.split}: {found.images:,} images, {found.rollouts} rollouts",
        "looking",
        "accuracy, %",
        "balanced, %",
        "cross-entropy, nats",
        "calibration error",
        *(f"t = {t}, %" for t in range(1, T + 1)),
        "glimpses used",
        "accuracy then, %",
    )
    for name, each in found.policies.items():
        table.add_row(
            name,
            f"{100 * each.accuracy:.1f}",
            f"{100 * each.balanced_accuracy:.1f}",
            f"{each.cross_entropy:.3f}",
            f"{each.calibration_error:.3f}",
            *(f"{100 * value:.1f}" for value in each.after),
            f"{each.glimpses:.2f}",
            f"{100 * each.accuracy_at:.1f}",
        )
    table.caption = (
        f"{found.multiply_adds:,} multiply-adds an image and rollout, {found.pixels_seen:,} of "
        f"{found.pixels:,} pixels seen; averaged: {found.rollouts} times the multiply-adds"
    )
    if found.confident is not None:
        used = [f"{name} {each.multiply_adds:,.0f}" for name, each in found.policies.items()]
        table.caption = (
            f"{', '.join(used)} multiply-adds an image and rollout, of the glimpses used with an "
            f"answer after each; all {T} glimpses: {table.caption}"
        )
    classes = empty_table("Classes (single rollouts)", "class", "images", "accuracy, %")
    single = found.policies["single"]
    for name, share, row in zip(found.classes, single.per_class, single.confusion, strict=True):
        images = sum(row) // found.rollouts
        classes.add_row(escape(name), f"{images:,}", f"{100 * share:.1f}" if images else "-")
    return [table, classes]
