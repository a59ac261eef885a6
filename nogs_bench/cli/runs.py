"""Training runs, their scores and targets: `evaluate`, `score` and `target`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nogs_bench.cli.app import (
    Data,
    Deterministic,
    Device,
    Executor,
    Json,
    OwnTask,
    RayAddress,
    Set,
    Store,
    app,
    print_json,
    settings,
)
from nogs_bench.cli.shell import one, several
from nogs_bench.exits import keeping


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A model's name, or FILE.py:NAME of one or of a method.",
            autocompletion=one("model"),
        ),
    ] = "reference",
    task: Annotated[
        str,
        typer.Option(
            help="A task's name, FILE.py:NAME, or images: a folder, hf:NAME.",
            autocompletion=one("task"),
        ),
    ] = "cluttered-digits",
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Several tasks instead, such as 'celeba-hq-*,cub-200'.",
            autocompletion=several("task"),
        ),
    ] = None,
    sequences: Annotated[
        str | None,
        typer.Option(
            help="Dataset folder or Hub name; {task} stands for the task. Default: shipped."
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Comma-separated names, FILE.py:NAME, or NAME:SETTING=NUMBER.",
            autocompletion=several("method"),
        ),
    ] = "ram,ps-nogs",
    seeds: Annotated[int, typer.Option(min=1, help="Number of runs of each method.")] = 3,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="scratch or pretrained. Default: the task's.",
            autocompletion=one("protocol"),
        ),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Iterations of each run. Default: the protocol's.")
    ] = None,
    supervised: Annotated[
        int | None, typer.Option(min=1, help="How many sequences to use. Default: the task's.")
    ] = None,
    keypoints: Annotated[
        Path | None, typer.Option(help="A .npy file of the places that ps-hgs looks at.")
    ] = None,
    maps: Annotated[
        str | None, typer.Option(help="Dataset with EPE maps. Default: that of --sequences.")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(help="conv, timm:NAME@FILE, avp:FOLDER, ...; frozen: before one freezes it."),
    ] = None,
    set_: Set = None,
    out: Annotated[Path, typer.Option(help="Folder of results, one file for each run.")] = Path(
        "results"
    ),
    data: Data = None,
    device: Device = "auto",
    deterministic: Deterministic = False,
    executor: Executor = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Training processes. Default: one a core, or one a GPU."),
    ] = None,
    ray_address: RayAddress = None,
    store: Store = None,
    together: Annotated[
        int | None, typer.Option(min=1, help="How many runs a process trains at once, at most.")
    ] = None,
    log: Annotated[
        str | None, typer.Option(help="Log training: csv, tensorboard, trackio or wandb.")
    ] = None,
    weights: Annotated[
        bool, typer.Option(help="Keep each run's network beside its result.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Train again what has a result already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model by each method and seed, and score the runs."""
    kept = f"finished runs are kept in {out}"
    anew = {"then": "with --again the same command trains them anew, and goes on with the others"}
    with keeping(kept, **(anew if again else {})):
        from nogs_bench.evaluation import evaluate as run

        scores = run(
            model,
            task=task,
            tasks=tasks,
            sequences=sequences,
            methods=tuple(name.strip() for name in methods.split(",")),
            seeds=seeds,
            protocol=protocol,
            iterations=iterations,
            supervised=supervised,
            embedder=embedder,
            overrides=settings("evaluate", set_),
            keypoints=keypoints,
            maps=maps,
            out=out,
            data=data,
            device=device,
            deterministic=deterministic,
            executor=executor,
            workers=workers,
            ray_address=ray_address,
            store=store,
            together=together,
            weights=weights,
            log=log,
            again=again,
        )
    _show_scores(scores, as_json)


@app.command()
def score(
    results: Annotated[Path, typer.Argument(help="A folder of results.")],
    task: OwnTask = None,
    as_json: Json = False,
) -> None:
    """Compute all scores of finished runs from their curves."""
    from nogs_bench.results import score as run

    _show_scores(run(results, task), as_json)


def _show_scores(scores: Any, as_json: bool) -> None:
    if as_json:
        print_json(scores.as_json())
    else:
        from nogs_bench.figures import print_tables, scores_tables

        print_tables(*scores_tables(scores))


@app.command()
def target(
    task: Annotated[str, typer.Argument(help="A task's name, FILE.py:NAME, or images.")],
    protocol: Annotated[
        str | None, typer.Option(help="scratch or pretrained.", autocompletion=one("protocol"))
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations of each run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs. Default: results-target/TASK.")
    ] = None,
    data: Data = None,
    device: Device = "auto",
    deterministic: Deterministic = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Training processes.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Train again what has a result already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a task's target by RAM's runs, and write it into the task's file."""
    with keeping("finished runs are kept"):
        from nogs_bench.evaluation import measure_target

        found = measure_target(
            task,
            protocol,
            out=out,
            iterations=iterations,
            data=data,
            device=device,
            deterministic=deterministic,
            workers=workers,
            again=again,
        )
    if as_json:
        print_json(asdict(found))
        return
    runs = ", ".join(f"{value:.1%}" for value in found.halfway)
    typer.echo(
        f"{found.task}, {found.protocol}: target {found.value:.0%} {found.judged_by} (RAM "
        f"half-way: {runs})"
    )
    typer.echo(
        f"written into {found.written}"
        if found.written
        else "nothing was written: the task is in no file with a line TARGET = ..."
    )
