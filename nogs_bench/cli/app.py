"""The program, and what its commands share."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Annotated, Any

import typer

from nogs_bench.cli.shell import one
from nogs_bench.exits import ANSWER, Commands, answer_alone

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Near-optimal glimpse sequences: a dataset and a benchmark for hard visual attention.",
)


def _prints_apart(ctx: typer.Context, as_json: bool) -> bool:
    """With `--json`, leave standard output to the answer until the command ends."""
    if as_json and not ctx.resilient_parsing:
        ctx.with_resource(answer_alone())
    return as_json


Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON and nothing else.", callback=_prints_apart),
]
Over = Annotated[
    bool, typer.Option("--replace", help="Replace files of others that are in the way.")
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="Replace a dataset of another task, or made with other settings."
    ),
]
Anew = Annotated[bool, typer.Option("--replace", help="Replace what --out names, if it is there.")]
Data = Annotated[str | None, typer.Option("--data", help="Folder of the task's images.")]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda or cuda:N.",
        autocompletion=one("device"),
    ),
]

Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="On a GPU, the same bytes each time; slower."),
]

Dataset = Annotated[
    str,
    typer.Argument(
        help="A dataset: its folder, a task's name, or OWNER/NAME on the Hub.",
        autocompletion=one("task"),
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Replace a setting of the task; repeatable."),
]

OwnTask = Annotated[
    str | None,
    typer.Option("--task", help="Of a task that is not registered: FILE.py:NAME, or its images."),
]
BuildSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
TaskSplit = Annotated[str, typer.Option("--task-split", help="Which split of the task's images.")]
Private = Annotated[bool, typer.Option("--private", help="Make the repository private.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
]

Executor = Annotated[
    str,
    typer.Option(
        help="Who does the work: local or ray.",
        autocompletion=one("executor"),
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="Address of a Ray cluster. Default: RAY_ADDRESS, or one that is started."),
]
Store = Annotated[
    str | None, typer.Option(help="Also keep what is finished in a store: s3://BUCKET/FOLDER.")
]

# Choices of a task of images of one's own.
Minutes = Annotated[
    float | None,
    typer.Option(help="For your own images: minutes of a build on two cores. Default: 30."),
]
ImageSize = Annotated[
    int | None, typer.Option(min=4, help="For your own images: pixels of a side. Default: chosen.")
]
Glimpse = Annotated[
    int | None, typer.Option(min=2, help="For your own images: pixels of a glimpse's side.")
]
Glimpses = Annotated[
    int | None, typer.Option(min=1, help="For your own images: number of glimpses.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label", help="For hf:NAME: columns of labels; '*' builds for all.")
]


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"nogs-bench {version('nogs-bench')}")
        raise typer.Exit


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def settings(command: str, given: list[str] | None) -> dict[str, Any]:
    """The `overrides` that `--set` gives a function of a command."""
    from nogs_bench.tasks import read_settings

    return read_settings(command, given or ())


def print_json(value: Any) -> None:
    """Print `value` on standard output; mappings of any kind become objects."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False, default=dict), file=ANSWER.get())
