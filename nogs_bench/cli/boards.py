"""The leaderboard: `validate`, `submit`, `verify`, `pack`, `compare`, `moves`, `export` and
`build`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import Data, Deterministic, Device, Json, Over, app, print_json

leaderboard = typer.Typer(no_args_is_help=True, help="Check results, compare them, show them.")
app.add_typer(leaderboard, name="leaderboard")

Results = Annotated[Path, typer.Argument(help="A folder of results; folders in it are read too.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds that an entry needs.")]


@leaderboard.command()
def validate(results: Results, seeds: Seeds = 5, as_json: Json = False) -> None:
    """Check whether every result may stand on the leaderboard, and name faulty fields."""
    from nogs_bench.leaderboard.validation import validate as run

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


@leaderboard.command()
def submit(
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder to write the submission into.")],
    author: Annotated[str, typer.Option(help="Name of who submits.")],
    url: Annotated[str, typer.Option(help="Address of the code that made the results.")],
    build_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds to make the sequences, AVP included; or the AVP, where it alone teaches.",
        ),
    ] = None,
    build_hardware: Annotated[str | None, typer.Option(help="Hardware that made them.")] = None,
    dataset_id: Annotated[
        str | None, typer.Option(help="The benchmark's dataset on the Hub: writes .eval_results.")
    ] = None,
    clone: Annotated[
        Path | None, typer.Option(help="A clone of your fork: put the results in their place.")
    ] = None,
    seeds: Seeds = 5,
    replace: Over = False,
) -> None:
    """Write result files and message for a pull request or for the Hub. Sends nothing."""
    from nogs_bench.leaderboard.submission import MESSAGE, build_cost, git_lines
    from nogs_bench.leaderboard.submission import submit as run

    cost = build_cost(build_seconds, build_hardware)
    folder = run(results, out, author, url, cost, dataset_id, seeds, clone, replace)
    if clone is None:
        typer.echo(
            f"{folder} is ready: open a pull request with results/ and the text of {MESSAGE}"
        )
    else:
        typer.echo(f"{folder} is ready, and its results are in {clone}. What remains:")
        for line in git_lines(clone, folder / MESSAGE):
            typer.echo(line)


@leaderboard.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A result file, among those of its entry.")],
    rerun: Annotated[bool, typer.Option("--rerun", help="Train again and compare.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which run of an entry's file. Default: the first.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="FILE.py:NAME of the claim's model.")] = None,
    task: Annotated[str | None, typer.Option(help="FILE.py:NAME of the claim's task.")] = None,
    sequences: Annotated[str | None, typer.Option(help="Dataset folder or Hub name.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the new run in.")] = None,
    data: Data = None,
    device: Device = "auto",
    deterministic: Deterministic = False,
    keypoints: Annotated[Path | None, typer.Option(help="A .npy file for ps-hgs.")] = None,
    maps: Annotated[Path | None, typer.Option(help="Dataset of EPE maps.")] = None,
    as_json: Json = False,
) -> None:
    """Check a result's claim by training it again; exits with 1 if it does not hold."""
    from nogs_bench.leaderboard.verification import verify as run

    found = run(
        file,
        rerun=rerun,
        model=model,
        task=task,
        sequences=sequences,
        data=data,
        out=out,
        device=device,
        keypoints=keypoints,
        maps=maps,
        seed=seed,
        deterministic=deterministic,
    )
    if as_json:
        checks = [asdict(check) | {"holds": check.holds} for check in found.checks]
        print_json({"holds": found.holds, "checks": checks, "notes": list(found.notes)})
    else:
        from nogs_bench.figures import print_tables
        from nogs_bench.leaderboard.text import verification_table

        print_tables(verification_table(found))
        for note in found.notes:
            typer.echo(f"note: {note}")
    if not found.holds:
        raise typer.Exit(1)


@leaderboard.command()
def pack(
    results: Results,
    out: Annotated[
        Path, typer.Option(help="Folder to write into; each family has a folder in it.")
    ],
    replace: Over = False,
) -> None:
    """Write results as one compressed file for each entry, with all its seeds."""
    from nogs_bench.results import pack as run

    paths = run(results, out, replace)
    size = sum(path.stat().st_size for path in paths)
    typer.echo(f"{len(paths)} entries, {size:,} bytes, in {out}")


@leaderboard.command()
def compare(results: Results, as_json: Json = False) -> None:
    """Show the paper's figures, ours and their intervals side by side."""
    from nogs_bench.leaderboard.comparison import compare as run
    from nogs_bench.leaderboard.validation import load_board

    rows = run(load_board(results))
    if as_json:
        from nogs_bench.results import plain

        print_json([plain(asdict(row)) for row in rows])
    else:
        from nogs_bench.figures import print_tables
        from nogs_bench.leaderboard.text import comparison_table

        print_tables(comparison_table(rows))


@leaderboard.command()
def moves(
    before: Annotated[Path, typer.Argument(help="A folder of results.")],
    after: Annotated[Path, typer.Argument(help="A folder of the same results, changed.")],
    as_json: Json = False,
) -> None:
    """Say in Markdown which entries a change of results adds, removes and moves."""
    from nogs_bench.leaderboard.submission import describe
    from nogs_bench.leaderboard.submission import moves as run

    found = run(before, after)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(describe(found), nl=False)


@leaderboard.command()
def export(
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    replace: Over = False,
) -> None:
    """Write all runs and their curves as a dataset of parquet files, with a card."""
    from nogs_bench.leaderboard.export import export as run

    typer.echo(f'{run(results, out, replace)} is ready: datasets.load_dataset("{out}", "curves")')


@leaderboard.command()
def build(
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder to write index.html into.")] = Path("site"),
    sequences: Annotated[
        list[Path] | None, typer.Option(help="Dataset folder for the gallery; may be repeated.")
    ] = None,
    data: Data = None,
    seeds: Seeds = 5,
    replace: Over = False,
) -> None:
    """Write the leaderboard as one static page that needs nothing else."""
    from nogs_bench.leaderboard.page import build as run

    typer.echo(f"{run(results, out, sequences or (), data, seeds, replace)} is written")
