"""What there is: `tasks`, `methods`, what `task` images become, and with `doctor` this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import (
    Anew,
    Data,
    Glimpse,
    Glimpses,
    ImageSize,
    Json,
    LabelColumn,
    Minutes,
    app,
    given,
    print_json,
)


@app.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks: geometry, classes, sizes, licence, and where images come from."""
    from nogs_bench.tasks import TASKS

    if as_json:
        print_json([task.summary() for task in TASKS])
    else:
        from nogs_bench.figures import print_tables, tasks_tables

        print_tables(*tasks_tables(list(TASKS)))


@app.command()
def task(
    images: Annotated[
        str,
        typer.Argument(help="A folder of images, or hf:NAME; with --check any task."),
    ],
    minutes: Minutes = None,
    out: Annotated[
        Path | None, typer.Option(help="A Python file to write the task to, to be changed.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is odd about a task and its images.")
    ] = False,
    image_size: ImageSize = None,
    glimpse: Glimpse = None,
    glimpses: Glimpses = None,
    label: LabelColumn = None,
    data: Data = None,
    replace: Anew = False,
    as_json: Json = False,
) -> None:
    """Show which task your own images become, and why. Builds nothing."""
    choices = given(
        minutes=minutes, image_size=image_size, glimpse=glimpse, glimpses=glimpses, label=label
    )
    from nogs_bench.errors import NogsError

    if check and out is not None:
        raise NogsError(f"--check writes no file; leave out --out {out}, or --check")
    if data is not None and not check:
        raise NogsError(f"--data {data} is where --check finds a task's images; leave it out")
    if out is not None:
        from nogs_bench.files import require_new

        require_new(out, replace)
    if check:
        from nogs_bench.builders.pipeline import check_settings
        from nogs_bench.diagnosis import check_task
        from nogs_bench.tasks import get_task, with_choices

        made = with_choices(images, choices)
        tasks = [get_task(one) for one in (made if isinstance(made, list) else [made])]
        for checked in tasks:
            check_settings(checked)
        # Tasks of one family share most of what may be odd about them.
        lines = list(dict.fromkeys(line for task in tasks for line in check_task(task, data)))
        if as_json:
            print_json(lines)
        else:
            typer.echo("\n".join(lines) if lines else "nothing odd")
        return
    from nogs_bench.tasks import choices_of, task_file

    _, chosen = choices_of(images, **choices)
    if label == "*" and len(chosen.facts.labels) > 1:
        name = chosen.facts.labels[0].name
        typer.echo(f"judged_by and target are of {name}; each label has its own", err=True)
    if out is not None:
        from nogs_bench.files import write_text

        write_text(out, task_file(images, **choices))
        typer.echo(f"{out} is written: build it as {out}:task", err=as_json)
    if as_json:
        print_json([asdict(choice) for choice in chosen.choices.values()])
    elif out is None:
        from nogs_bench.figures import choices_table, print_tables

        print_tables(choices_table(chosen))


@app.command()
def methods(as_json: Json = False) -> None:
    """List the training methods."""
    from nogs_bench.methods import METHODS

    if as_json:
        fields = ("name", "description", "reference", "options")
        print_json([{field: getattr(method, field) for field in fields} for method in METHODS])
    else:
        from nogs_bench.figures import methods_table, print_tables

        print_tables(methods_table(list(METHODS)))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show versions, device, threads, folders and disk space, and warn of what may go wrong."""
    from nogs_bench.diagnosis import doctor as run

    found = run()
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(str(found))
