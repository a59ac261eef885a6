"""The leaderboard: `leaderboard validate`, `submit`, `verify`, `compare` and `build`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import Json, app, print_json

leaderboard = typer.Typer(no_args_is_help=True, help="Check results, compare them, show them.")
app.add_typer(leaderboard, name="leaderboard")

Results = Annotated[Path, typer.Argument(help="A folder of results, with folders in it or not.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds that an entry needs.")]


@leaderboard.command()
def validate(results: Results, seeds: Seeds = 5, as_json: Json = False) -> None:
    """Say of every result whether it may stand on the leaderboard, and if not which field."""
    from nogs_bench.leaderboard.validate import validate as run

    report = run(results, seeds)
    if as_json:
        print_json({"valid": report.valid, "faults": [asdict(fault) for fault in report.faults]})
    elif report.valid:
        typer.echo(f"{len(report.runs)} results of {report.entries} entries: all valid")
    else:
        for fault in report.faults:
            typer.echo(" ".join(str(fault).split()))
    if not report.valid:
        raise typer.Exit(1)
