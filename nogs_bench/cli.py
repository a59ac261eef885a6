"""The command line: thin commands over the functions of the same names.

Everything heavy is imported inside the command that needs it, so that `--help` is quick.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from nogs_bench.errors import NogsError
from nogs_bench.exits import Commands, keeping

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Near-optimal glimpse sequences: a dataset and a benchmark for hard visual attention.",
)
plot = typer.Typer(no_args_is_help=True, help="Draw figures, .png or .svg.")
app.add_typer(plot, name="plot")

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
TaskOption = Annotated[str, typer.Option("--task", help="A task's name, or FILE.py:NAME.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the task's images.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, ...")]
Figure = Annotated[Path, typer.Option("--out", help="The figure: a .png or .svg file.")]


def main() -> None:
    """Entry point of the `nogs-bench` program."""
    app()


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"nogs-bench {version('nogs-bench')}")
        raise typer.Exit


@app.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks: geometry, classes, sizes, licence, and where images come from."""
    import nogs_bench.tasks  # noqa: F401  (fills the registry)
    from nogs_bench.task import TASKS

    if as_json:
        _print_json([task.summary() for task in TASKS])
    else:
        from nogs_bench.tables import print_tables, tasks_tables

        print_tables(*tasks_tables(list(TASKS)))


@app.command()
def methods(as_json: Json = False) -> None:
    """List the training methods."""
    from nogs_bench.methods import METHODS

    if as_json:
        fields = ("name", "description", "reference")
        _print_json([{field: getattr(method, field) for field in fields} for method in METHODS])
    else:
        from nogs_bench.tables import methods_table, print_tables

        print_tables(methods_table(list(METHODS)))


@app.command()
def build(
    task: Annotated[str, typer.Argument(help="A task's name, or FILE.py:NAME.")],
    out: Annotated[Path, typer.Option(help="The dataset folder to write.")],
    images: Annotated[int | None, typer.Option(min=1, help="How many to annotate.")] = None,
    data: Data = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    posterior: Annotated[
        str, typer.Option(help="avp trains a network; bank computes it from labelled images.")
    ] = "avp",
    criterion: Annotated[str | None, typer.Option(help="entropy or cross-entropy.")] = None,
    search: Annotated[str | None, typer.Option(help="How the grid is searched.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Annotating processes.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads that train the AVP.")] = None,
    device: Device = "auto",
    without_images: Annotated[
        bool, typer.Option("--without-images", help="Leave the images out of the dataset.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Annotate images with near-optimal glimpse sequences and write a dataset folder."""
    with keeping(f"finished stages are kept in {out / '.build'}"):
        from nogs_bench.builders.build import build as run

        folder = run(
            task,
            out,
            images=images,
            data=data,
            seed=seed,
            posterior=posterior,
            criterion=criterion,
            search=search,
            workers=workers,
            threads=threads,
            device=device,
            with_images=not without_images,
        )
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    if as_json:
        _print_json({"folder": str(folder), **record})
    else:
        from nogs_bench.tables import print_tables, quality_table

        print_tables(quality_table(record))
        typer.echo(f'{folder} is ready: nogs_bench.load("{folder}")')


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name, or FILE.py:NAME.")] = "reference",
    task: TaskOption = "cluttered-digits",
    sequences: Annotated[
        str | None, typer.Option(help="Dataset folder or Hub name [default: those shipped].")
    ] = None,
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = "ram,ps-nogs",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    protocol: Annotated[str | None, typer.Option(help="scratch or pretrained.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Of each run.")] = None,
    supervised: Annotated[int | None, typer.Option(min=1, help="Sequences to use.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of results, one file a run.")] = Path("results"),
    data: Data = None,
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time.")] = None,
    as_json: Json = False,
) -> None:
    """Train a model by each method and seed, and score the runs."""
    with keeping(f"finished runs are kept in {out}"):
        from nogs_bench.evaluate import evaluate as run

        scores = run(
            model,
            task=task,
            sequences=sequences,
            methods=tuple(name.strip() for name in methods.split(",")),
            seeds=seeds,
            protocol=protocol,
            iterations=iterations,
            supervised=supervised,
            out=out,
            data=data,
            device=device,
            workers=workers,
        )
    _show_scores(scores, as_json)


@app.command()
def score(
    results: Annotated[Path, typer.Argument(help="A folder of results.")],
    task: Annotated[
        str | None, typer.Option(help="FILE.py:NAME of a task that is not registered.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute all scores again from the curves of finished runs."""
    from nogs_bench.scoring import score as run

    _show_scores(run(results, task), as_json)


@plot.command("epe")
def plot_epe(
    folder: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Figure,
    index: Annotated[int, typer.Option(help="Number of an annotated training image.")] = 0,
) -> None:
    """Draw how one image's glimpses were chosen (the paper's figure 2)."""
    from nogs_bench.plots import plot_epe as run

    run(folder, index, out)


@plot.command("curves")
def plot_curves(
    results: Annotated[Path, typer.Argument(help="A folder of results.")], out: Figure
) -> None:
    """Draw validation accuracy against iterations, each method's band over its seeds."""
    from nogs_bench.plots import plot_curves as run

    run(results, out)


def _show_scores(scores: Any, as_json: bool) -> None:
    if as_json:
        _print_json(scores.as_json())
    else:
        from nogs_bench.tables import print_tables, scores_tables

        print_tables(*scores_tables(scores))


def _print_json(value: Any) -> None:
    try:
        typer.echo(json.dumps(value, indent=1, allow_nan=False, default=dict))
    except (TypeError, ValueError) as error:
        raise NogsError(f"cannot be said in JSON: {error}") from error
