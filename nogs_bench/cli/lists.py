"""What there is: `tasks`, `methods`, and with `doctor` this machine."""

from __future__ import annotations

import typer

from nogs_bench.cli.app import Json, app, print_json


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
def methods(as_json: Json = False) -> None:
    """List the training methods."""
    from nogs_bench.methods import METHODS

    if as_json:
        fields = ("name", "description", "reference")
        print_json([{field: getattr(method, field) for field in fields} for method in METHODS])
    else:
        from nogs_bench.figures import methods_table, print_tables

        print_tables(methods_table(list(METHODS)))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show versions, device, threads, folders and space, to paste; then what will hurt."""
    from nogs_bench.diagnosis import doctor as run

    found = run()
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(str(found))
