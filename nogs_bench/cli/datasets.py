"""Datasets of sequences: `prepare` images, `build` sequences, `import-released` ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nogs_bench.cli.app import (
    BuildSeed,
    Data,
    Deterministic,
    Device,
    Executor,
    Glimpse,
    Glimpses,
    ImageSize,
    Json,
    LabelColumn,
    Minutes,
    RayAddress,
    Replace,
    Set,
    Store,
    app,
    given,
    print_json,
    settings,
)
from nogs_bench.cli.shell import one
from nogs_bench.exits import keeping


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="celeba-hq, celeba-10k, utkface, cub or cub-100.")],
    source: Annotated[Path, typer.Option(help="Folder of the images as you got them.")],
    out: Annotated[Path, typer.Option(help="Folder to write; then give it as --data.")],
    labels: Annotated[
        Path | None, typer.Option(help="CelebA's or CelebA-HQ's attribute file, if not in SOURCE.")
    ] = None,
    exclude: Annotated[Path | None, typer.Option(help="CUB's list of images to leave out.")] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="Take parquet without numbers to be in order.")
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Accept a part of celeba-hq, and say how much there is."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of decoding processes.")
    ] = None,
) -> None:
    """Decode and resize images that you fetch yourself, once, into a folder for --data."""
    with keeping(f"finished parts are kept in {out}"):
        from nogs_bench.builders.prepare import prepare as run

        folder = run(
            dataset,
            source,
            out,
            labels=labels,
            exclude=exclude,
            in_order=in_order,
            partial=partial,
            workers=workers,
        )
    if partial:
        from nogs_bench.images import read_record

        record = read_record(folder)
        part = record.get("partial", {"found": record["count"], "of": record["count"]})
        typer.echo(f"{folder} has {part['found']:,} of {part['of']:,} images")
    typer.echo(f"{folder} is ready: give it as --data {folder}")


@app.command()
def build(
    task: Annotated[
        str,
        typer.Argument(
            help="A task's name, FILE.py:NAME, 'celeba-hq-*', or images: a folder, hf:NAME.",
            autocompletion=one("task"),
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The dataset folder to write; not needed with --plan.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="How many images to annotate. Default: the task's.")
    ] = None,
    data: Data = None,
    seed: BuildSeed = 0,
    posterior: Annotated[
        str, typer.Option(help="avp trains a network; bank computes from labelled images.")
    ] = "avp",
    criterion: Annotated[
        str | None,
        typer.Option(
            help="entropy (the paper's) or cross-entropy. Default: the task's.",
            autocompletion=one("criterion"),
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="How the grid is searched. Default: the task's.",
            autocompletion=one("search"),
        ),
    ] = None,
    completion: Annotated[
        str | None,
        typer.Option(
            help="retrieval, conditional-gan or hmc. Default: the task's.",
            autocompletion=one("completion"),
        ),
    ] = None,
    bank: Annotated[
        str | None, typer.Option(help="Generator of the bank's images. Default: training images.")
    ] = None,
    bank_images: Annotated[
        int | None, typer.Option(min=1, help="How many images the bank holds.")
    ] = None,
    executor: Executor = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Annotating processes. Default: one a core, or one a GPU."),
    ] = None,
    ray_address: RayAddress = None,
    part: Annotated[
        str | None,
        typer.Option(help="NUMBER/COUNT: annotate this part; other calls do the rest."),
    ] = None,
    store: Store = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for training the AVP.")] = 1,
    device: Device = "auto",
    deterministic: Deterministic = False,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Completions for each estimate. Default: the task's.")
    ] = None,
    observed: Annotated[
        str | None, typer.Option(help="Pixels shown at earlier glimpses: sample or pasted.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="float32 or bfloat16.",
            autocompletion=one("precision"),
        ),
    ] = "float32",
    folds: Annotated[
        int, typer.Option(min=1, help="2 or more: divide the images, and annotate all of them.")
    ] = 1,
    without_images: Annotated[
        bool, typer.Option("--without-images", help="Leave the images out of the dataset.")
    ] = False,
    replace: Replace = False,
    set_: Set = None,
    minutes: Minutes = None,
    image_size: ImageSize = None,
    glimpse: Glimpse = None,
    glimpses: Glimpses = None,
    label: LabelColumn = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Search although the posterior learned nothing.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what a build would make and cost, and do nothing.")
    ] = False,
    rates: Annotated[
        Path | None, typer.Option(help="For --plan: a file of benchmarks/rates.py or gpu.py.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Annotate images with near-optimal glimpse sequences and write a dataset folder."""
    choices = given(
        minutes=minutes, image_size=image_size, glimpse=glimpse, glimpses=glimpses, label=label
    )
    asked: dict[str, Any] = {
        "images": images,
        "posterior": posterior,
        "criterion": criterion,
        "search": search,
        "completion": completion,
        "bank": bank,
        "bank_images": bank_images,
        "samples": samples,
        "observed": observed,
        "precision": precision,
        "folds": folds,
        "overrides": settings("build", set_),
    }
    if plan:
        _show_plan(task, choices, as_json, rates=rates, workers=workers or 1, **asked)
        return
    if rates is not None:
        raise typer.BadParameter("is of --plan, which reckons; leave it out", param_hint="--rates")
    if out is None:
        raise typer.BadParameter("give the folder to write", param_hint="--out")
    with keeping(f"finished stages are kept in {out / '.build'}"):
        from nogs_bench.builders.pipeline import build as run
        from nogs_bench.builders.pipeline import made_folders

        folder = run(
            task,
            out,
            data=data,
            seed=seed,
            executor=executor,
            workers=workers,
            ray_address=ray_address,
            part=part,
            store=store,
            threads=threads,
            device=device,
            deterministic=deterministic,
            with_images=not without_images,
            replace=replace,
            anyway=anyway,
            **asked,
            **choices,
        )
        if part is not None:
            typer.echo(f"part {part} of {folder} is done; without --part, the dataset is written")
            return
        folders = made_folders(folder, task, **choices)
    records = [json.loads((f / "provenance.json").read_text(encoding="utf-8")) for f in folders]
    if as_json:
        rows = [{"folder": str(f), **r} for f, r in zip(folders, records, strict=True)]
        print_json(rows[0] if folders == [folder] else rows)
    else:
        from nogs_bench.figures import print_tables, quality_table

        for path, record in zip(folders, records, strict=True):
            print_tables(quality_table(record))
            typer.echo(f'{path} is ready: nogs_bench.load("{path}")')


def _show_plan(task: str, choices: dict[str, Any], as_json: bool, **asked: Any) -> None:
    from nogs_bench.builders.estimate import estimate_build
    from nogs_bench.tasks import with_choices

    estimate = estimate_build(with_choices(task, choices), **asked)
    if as_json:
        print_json(estimate.as_json())
    else:
        from nogs_bench.cli.build_tables import estimate_tables
        from nogs_bench.figures import print_tables

        print_tables(*estimate_tables(estimate))


@app.command("import-released")
def import_released(
    archive: Annotated[
        Path, typer.Argument(help="The authors' optimal-sequences: a folder or a tar.")
    ],
    labels: Annotated[Path, typer.Option(help="CelebA-HQ's attribute file.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset folders to write.")],
    cub: Annotated[Path | None, typer.Option(help="CUB_200_2011, for the birds' labels.")] = None,
    exclude: Annotated[Path | None, typer.Option(help="CUB's list of images to leave out.")] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that prepare wrote: copy its images in, for your own use."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Write this task's folder alone; may be repeated.")
    ] = None,
    replace: Replace = False,
) -> None:
    """Turn the sequences that the paper's authors released into dataset folders."""
    with keeping(f"finished datasets are kept in {out}"):
        from nogs_bench.builders.released import import_released as run

        folders = run(
            archive,
            labels,
            out,
            cub=cub,
            exclude=exclude,
            images=images or (),
            tasks=task or (),
            replace=replace,
        )
    ready = "dataset is" if len(folders) == 1 else "datasets are"
    typer.echo(f"{len(folders)} {ready} ready in {out}")
