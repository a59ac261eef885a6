"""Datasets for others: `publish` and `report`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import Anew, Dataset, DryRun, Json, OwnTask, Private, app, print_json
from nogs_bench.errors import NogsError
from nogs_bench.exits import keeping


@app.command()
def publish(
    folder: Annotated[
        Path, typer.Argument(help="A dataset folder; with --all, a folder of such folders.")
    ],
    repo: Annotated[
        str | None,
        typer.Option(help="OWNER/NAME on the Hub; with --all OWNER. Default: the folder's name."),
    ] = None,
    all_41: Annotated[bool, typer.Option("--all", help="Publish the paper's 41 datasets.")] = False,
    private: Private = False,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Send the images too, if their licence allows it.")
    ] = False,
    i_have_the_rights: Annotated[
        bool,
        typer.Option("--i-have-the-rights", help="Publish although the origin names no licence."),
    ] = False,
    dry_run: DryRun = False,
    task: OwnTask = None,
    as_json: Json = False,
) -> None:
    """Push a dataset folder to the Hugging Face Hub; log in by HF_TOKEN or `hf auth login`."""
    from nogs_bench.builders.dataset import publish as run
    from nogs_bench.builders.dataset import publish_all

    with keeping("what was sent is kept on the Hub"):
        if all_41:
            if with_images or task:
                raise NogsError("--all goes with neither --with-images nor --task")
            outcomes = publish_all(
                folder,
                repo,
                private=private,
                i_have_the_rights=i_have_the_rights,
                dry_run=dry_run,
            )
        else:
            if repo is None:
                raise NogsError("give --repo OWNER/NAME, the dataset's name on the Hub")
            outcomes = [
                run(
                    folder,
                    repo,
                    private=private,
                    with_images=with_images,
                    i_have_the_rights=i_have_the_rights,
                    dry_run=dry_run,
                    task=task,
                )
            ]
    if as_json:
        plain = [asdict(outcome) for outcome in outcomes]
        print_json(plain if all_41 else plain[0])
    else:
        from nogs_bench.cli.build_tables import published_tables
        from nogs_bench.figures import print_tables

        print_tables(*published_tables(outcomes, dry_run))


@app.command()
def report(
    dataset: Dataset,
    out: Annotated[
        Path | None, typer.Option(help="The page. Default: report.html in the folder, or here.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the task's images, if the dataset has none.")
    ] = None,
    join_images: Annotated[
        bool,
        typer.Option("--join-images", help="Join images that need no folder, or fail."),
    ] = False,
    task: OwnTask = None,
    build: Annotated[
        Path | None, typer.Option(help="Folder of the build, to show how a glimpse was chosen.")
    ] = None,
    replace: Anew = False,
) -> None:
    """Write one HTML page about a dataset: its sequences, quality, calibration and cost."""
    from nogs_bench.builders.report import page_of
    from nogs_bench.builders.report import report as run
    from nogs_bench.files import require_new

    require_new(page_of(dataset, out), replace)
    typer.echo(f"{run(dataset, out, images or join_images or None, task, build)} is ready")
