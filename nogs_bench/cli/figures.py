"""Figures: `plot epe`, `plot curves`, `plot bars`, `plot locations` and `plot reliability`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import Anew, Dataset, OwnTask, app
from nogs_bench.cli.shell import one

plot = typer.Typer(no_args_is_help=True, help="Draw figures, .png or .svg.")
app.add_typer(plot, name="plot")
Figure = Annotated[Path, typer.Option("--out", help="The figure: a .png or .svg file.")]


def _new(out: Path, replace: bool) -> None:
    from nogs_bench.files import require_new

    require_new(out, replace)


@plot.command("epe")
def plot_epe(
    dataset: Dataset,
    out: Figure,
    index: Annotated[
        int | None, typer.Option(help="Number of an annotated training image. Default: the first.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the task's images, if the dataset has none.")
    ] = None,
    task: OwnTask = None,
    replace: Anew = False,
) -> None:
    """Draw how one image's glimpses were chosen (the paper's figure 2)."""
    _new(out, replace)
    from nogs_bench.figures import plot_epe as run

    run(dataset, index, out, images, task)


@plot.command("curves")
def plot_curves(
    results: Annotated[Path, typer.Argument(help="A folder of results.")],
    out: Figure,
    task: OwnTask = None,
    replace: Anew = False,
) -> None:
    """Draw validation accuracy against iterations, each method's band over its seeds."""
    _new(out, replace)
    from nogs_bench.figures import plot_curves as run

    run(results, out, task)


@plot.command("bars")
def plot_bars(
    results: Annotated[Path, typer.Argument(help="A folder of results.")],
    out: Figure,
    task: OwnTask = None,
    replace: Anew = False,
) -> None:
    """Draw iterations to convergence of each task and method (the paper's figure 5)."""
    _new(out, replace)
    from nogs_bench.figures import plot_bars as run

    run(results, out, task)


@plot.command("locations")
def plot_locations(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of results, or a dataset: a folder, a task's name or a Hub name.",
            autocompletion=one("task"),
        ),
    ],
    out: Figure,
    task: OwnTask = None,
    replace: Anew = False,
) -> None:
    """Draw how often each pixel was seen at each step (the paper's figure 4)."""
    _new(out, replace)
    from nogs_bench.figures import plot_locations as run

    run(source, out, task)


@plot.command("reliability")
def plot_reliability(dataset: Dataset, out: Figure, replace: Anew = False) -> None:
    """Draw whether a build's posterior is as often right as it says, after each glimpse."""
    _new(out, replace)
    from nogs_bench.builders.posterior import plot_reliability as run

    run(dataset, out)
