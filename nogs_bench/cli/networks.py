"""Trained networks: `networks`, `look`, `predict`, `test`, `publish-network` and `export`."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nogs_bench.cli.app import Anew, Data, DryRun, Json, Over, Private, TaskSplit, app, print_json

if TYPE_CHECKING:
    from nogs_bench.trained import TrainedNetwork

Where = Annotated[
    str, typer.Argument(help="A result file, its .safetensors, or OWNER/NAME on the Hub.")
]
Weights = Annotated[str, typer.Option(help="Which weights: last, or best (by validation).")]
Model = Annotated[str | None, typer.Option(help="FILE.py:NAME of a model of your own.")]
OfTask = Annotated[str | None, typer.Option("--task", help="FILE.py:NAME of a task of your own.")]
Source = Annotated[
    bool,
    typer.Option("--any-source", help="Load the network although its model's source has changed."),
]
Greedy = Annotated[bool, typer.Option("--greedy", help="Always look at the likeliest place.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the places looked at, without --greedy.")]
Confident = Annotated[
    float | None, typer.Option(min=0, max=1, help="Stop looking when a class has this probability.")
]


def _load(
    run: str, weights: str, model: str | None, task: str | None, source: bool
) -> TrainedNetwork:
    from nogs_bench.trained import load_network

    return load_network(run, weights=weights, model=model, task=task, any_source=source)


@app.command()
def networks(
    results: Annotated[
        Path, typer.Argument(help="A folder of results; folders in it are read too.")
    ],
    as_json: Json = False,
) -> None:
    """List the trained networks that runs left in a folder."""
    from nogs_bench.trained import list_networks

    damaged: list[str] = []
    found = list_networks(results, damaged=damaged.append)
    if as_json:
        print_json([asdict(run) for run in found])
    else:
        from nogs_bench.cli.network_tables import networks_table
        from nogs_bench.figures import print_tables

        print_tables(networks_table(found))
    for line in damaged:
        typer.echo(line, err=True)
    if damaged:
        raise typer.Exit(1)


@app.command()
def look(
    run: Where,
    out: Annotated[Path, typer.Option(help="A .png, .svg or .gif file; .html for many images.")],
    image: Annotated[
        Path | None, typer.Argument(help="A picture, or a folder of them. Default: the task's.")
    ] = None,
    split: TaskSplit = "test",
    index: Annotated[
        str | None, typer.Option(help="Numbers in the split, as 7 or 0,3,9. Default: the first.")
    ] = None,
    sequences: Annotated[
        str | None, typer.Option(help="Near-optimal sequences to show beside the network's.")
    ] = None,
    data: Data = None,
    greedy: Greedy = False,
    seed: Seed = 0,
    confident: Confident = None,
    weights: Weights = "last",
    model: Model = None,
    task: OfTask = None,
    any_source: Source = False,
    replace: Anew = False,
) -> None:
    """Draw what a trained network sees of an image, and what it believes after each glimpse."""
    from nogs_bench.errors import NogsError
    from nogs_bench.files import require_new
    from nogs_bench.trained import look as draw

    require_new(out, replace)
    numbers = None
    if index is not None:
        try:
            numbers = [int(part) for part in index.split(",")]
        except ValueError as error:
            raise NogsError(f"--index {index}: give numbers, as 7 or 0,3,9") from error
    network = _load(run, weights, model, task, any_source)
    made = draw(
        network,
        out,
        image,
        split=split,
        index=numbers,
        data=data,
        sequences=sequences,
        greedy=greedy,
        seed=seed,
        confident=confident,
    )
    typer.echo(f"wrote {made}")


@app.command()
def predict(
    run: Where,
    folder: Annotated[Path, typer.Argument(help="A folder of pictures, or one picture.")],
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file.")],
    greedy: Greedy = False,
    seed: Seed = 0,
    confident: Confident = None,
    weights: Weights = "last",
    model: Model = None,
    task: OfTask = None,
    any_source: Source = False,
    replace: Anew = False,
) -> None:
    """Classify every picture of a folder, and write where the network looked."""
    from nogs_bench.files import require_new
    from nogs_bench.trained import predict as run_all

    require_new(out, replace)
    network = _load(run, weights, model, task, any_source)
    run_all(network, folder, out, greedy=greedy, seed=seed, confident=confident)
    typer.echo(f"wrote {out}")


@app.command()
def test(
    run: Where,
    split: TaskSplit = "test",
    data: Data = None,
    rollouts: Annotated[
        int | None, typer.Option(min=1, help="Rollouts of each image (M). Default: the run's.")
    ] = None,
    confident: Confident = None,
    out: Annotated[
        Path | None, typer.Option(help="Figure of confusion and calibration: .png or .svg.")
    ] = None,
    weights: Weights = "last",
    model: Model = None,
    task: OfTask = None,
    any_source: Source = False,
    replace: Anew = False,
    as_json: Json = False,
) -> None:
    """Test a trained network: accuracy, per class, calibration, after each glimpse, and cost."""
    from nogs_bench.figures import require_figure
    from nogs_bench.files import require_new
    from nogs_bench.trained import plot_judgement, test_network

    if out is not None:
        require_figure(out)
        require_new(out, replace)
    network = _load(run, weights, model, task, any_source)
    found = test_network(network, split, data, rollouts=rollouts, confident=confident)
    if out is not None:
        plot_judgement(found, out)
    if as_json:
        answer = asdict(found)
        for policy in answer["policies"].values():
            policy["per_class"] = [None if isnan(share) else share for share in policy["per_class"]]
        print_json(answer)
    else:
        from nogs_bench.cli.network_tables import judgement_tables
        from nogs_bench.figures import print_tables

        print_tables(*judgement_tables(found))


@app.command("publish-network")
def publish_network(
    run: Where,
    repo: Annotated[str, typer.Option(help="OWNER/NAME on the Hub; made if it is not there.")],
    space: Annotated[
        str | None, typer.Option(help="OWNER/NAME of a static page to make too.")
    ] = None,
    dataset_id: Annotated[
        str | None, typer.Option(help="The benchmark's dataset on the Hub: writes .eval_results.")
    ] = None,
    private: Private = False,
    dry_run: DryRun = False,
    data: Data = None,
    weights: Weights = "last",
    model: Model = None,
    task: OfTask = None,
    any_source: Source = False,
    as_json: Json = False,
) -> None:
    """Send a trained network to the Hugging Face Hub, with its result, card and picture."""
    from nogs_bench.sharing import publish_network as send

    network = _load(run, weights, model, task, any_source)
    source = (model or "").rpartition(":")[0] or None  # FILE.py:NAME, no registered name
    made = send(
        network,
        repo,
        space=space,
        source=source,
        dataset_id=dataset_id,
        data=data,
        private=private,
        dry_run=dry_run,
    )
    if as_json:
        print_json(asdict(made))
        return
    typer.echo(f"{'would publish' if dry_run else 'published'} {made.repo}")
    for name, size in made.files.items():
        typer.echo(f"  {name}  {size:,} bytes")
    if made.space is not None:
        typer.echo(f"{'would publish' if dry_run else 'published'} the page {made.space}")


@app.command("export")
def export_network(
    run: Where,
    onnx: Annotated[Path, typer.Option(help="Folder for step.onnx and network.json.")],
    weights: Weights = "last",
    model: Model = None,
    task: OfTask = None,
    any_source: Source = False,
    replace: Over = False,
) -> None:
    """Write a trained network as one ONNX step, compared with the network itself."""
    from nogs_bench.sharing import export_network as write

    made = write(_load(run, weights, model, task, any_source), onnx, replace=replace)
    typer.echo(f"wrote {made}/step.onnx and {made}/network.json")
