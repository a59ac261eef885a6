"""What stands beside what: `compare completions`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nogs_bench.cli.app import Data, Device, Json, app, print_json

compare = typer.Typer(no_args_is_help=True, help="Compare parts that can stand in for each other.")
app.add_typer(compare, name="compare")


@compare.command("completions")
def compare_completions(
    task: Annotated[str, typer.Argument(help="A task's name, or FILE.py:NAME.")],
    names: Annotated[
        str | None, typer.Option(help="Comma-separated: retrieval, hmc, ... [default: all]")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Images to complete.")] = 8,
    samples: Annotated[int, typer.Option(min=2, help="Completions of each.")] = 32,
    glimpses: Annotated[
        int | None,
        typer.Option(min=1, help="Random glimpses known of each image [default: T - 1]."),
    ] = None,
    data: Data = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure how near, how varied and how slow completions of a task's images are."""
    from nogs_bench.builders.compare import compare_completions as run

    chosen = [name.strip() for name in names.split(",")] if names else []
    measures = run(task, chosen, images, samples, glimpses, data, seed, device)
    if as_json:
        print_json([asdict(each) | {"coverage": each.coverage} for each in measures])
    else:
        from nogs_bench.tables import completions_table, print_tables

        print_tables(completions_table(task, measures))
