"""What stands beside what: `compare completions`, `compare avp`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import (
    BuildSeed,
    Data,
    Deterministic,
    Device,
    Json,
    Set,
    app,
    print_json,
    settings,
)
from nogs_bench.cli.shell import one

compare = typer.Typer(no_args_is_help=True, help="Compare parts that can stand in for each other.")
app.add_typer(compare, name="compare")


@compare.command("completions")
def compare_completions(
    task: Annotated[
        str,
        typer.Argument(
            help="A task's name, or FILE.py:NAME.",
            autocompletion=one("task"),
        ),
    ],
    names: Annotated[
        str | None, typer.Option(help="Comma-separated: retrieval, hmc, ... Default: all.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Images to complete.")] = 8,
    samples: Annotated[int, typer.Option(min=2, help="Completions of each image.")] = 32,
    glimpses: Annotated[
        int | None,
        typer.Option(min=1, help="How many random glimpses are known. Default: T - 1."),
    ] = None,
    set_: Set = None,
    data: Data = None,
    seed: BuildSeed = 0,
    device: Device = "auto",
    deterministic: Deterministic = False,
    as_json: Json = False,
) -> None:
    """Measure how near, how varied and how slow completions of a task's images are."""
    from nogs_bench.builders.compare import compare_completions as run

    chosen = [name.strip() for name in names.split(",")] if names else []
    measures = run(
        task,
        chosen,
        images=images,
        samples=samples,
        glimpses=glimpses,
        data=data,
        seed=seed,
        device=device,
        deterministic=deterministic,
        overrides=settings("compare", set_),
    )
    if as_json:
        print_json([asdict(each) | {"coverage": each.coverage} for each in measures])
    else:
        from nogs_bench.cli.build_tables import completions_table
        from nogs_bench.figures import print_tables

        print_tables(completions_table(task, measures))


@compare.command("avp")
def compare_avp(
    task: Annotated[
        str,
        typer.Argument(
            help="A task's name, or FILE.py:NAME.",
            autocompletion=one("task"),
        ),
    ],
    networks: Annotated[
        str | None,
        typer.Option(help="Comma-separated: conv, timm:NAME, ... Default: conv,local."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds to train each network.")] = 60.0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the trained networks. Default: nogs/compare-avp/TASK."),
    ] = None,
    cost_only: Annotated[
        bool,
        typer.Option("--cost-only", help="Train nothing, and time networks of random weights."),
    ] = False,
    sequences: Annotated[
        int, typer.Option(min=0, help="Images that each network annotates; the first judges.")
    ] = 0,
    set_: Set = None,
    data: Data = None,
    seed: BuildSeed = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads to train and to ask with.")] = 1,
    device: Device = "auto",
    deterministic: Deterministic = False,
    as_json: Json = False,
) -> None:
    """Train posterior networks for the same time, and measure how good and quick each is."""
    from nogs_bench.builders.compare import compare_avp as run

    chosen = [name.strip() for name in networks.split(",")] if networks else []
    measures = run(
        task,
        chosen,
        seconds=seconds,
        out=out,
        data=data,
        seed=seed,
        threads=threads,
        device=device,
        cost_only=cost_only,
        sequences=sequences,
        deterministic=deterministic,
        overrides=settings("compare", set_),
    )
    if as_json:
        print_json([asdict(each) for each in measures])
    else:
        from nogs_bench.cli.build_tables import avp_table, judged_table
        from nogs_bench.figures import print_tables

        tables = [avp_table(task, measures)]
        print_tables(*tables, *([judged_table(measures)] if sequences else []))
