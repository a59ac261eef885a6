"""`nogs-bench build`: from a task's images to a dataset folder, stage by stage.

bank -> posterior -> first step -> sequences -> dataset. Every stage before the last writes under
`OUT/.build/`, named by a digest of all that it depends on, so that a build that was stopped goes
on, and one with other settings does not mix with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nogs_bench.builders.bank import Fold
from nogs_bench.builders.completion import COMPLETIONS
from nogs_bench.builders.dataset import LabelsOnly, Rows, dataset_files, write_dataset
from nogs_bench.builders.pipeline.parts import read_part
from nogs_bench.builders.pipeline.plan import BuildPlan, check_names
from nogs_bench.builders.pipeline.spread import alone, annotate_folds, annotate_part
from nogs_bench.builders.search import CRITERIA, PRECISIONS
from nogs_bench.device import choose_device
from nogs_bench.errors import NogsError
from nogs_bench.executors import Crew, Executor, open_executor
from nogs_bench.files import check_store
from nogs_bench.images import LabelledImages, data_folder
from nogs_bench.tasks import Task, load_split, merged_settings


def build(
    task: str | Task | Sequence[str | Task],
    out: str | Path,
    images: int | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    posterior: str = "avp",
    criterion: str | None = None,
    search: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    executor: str | Executor = "local",
    ray_address: str | None = None,
    part: str | None = None,
    store: str | None = None,
    with_images: bool = True,
    bank: str | None = None,
    bank_images: int | None = None,
    completion: str | None = None,
    observed: str | None = None,
    precision: str = "float32",
    folds: int = 1,
    samples: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Annotate a task's first `images` training images and write the dataset folder `out`.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, or a `Task`. Several tasks of one family (a
      sequence, or a pattern such as `"celeba-hq-*"`) are annotated together, from one AVP, and
      each one's folder is `out/<its name>`.
    - `data`: folder of the task's images, where they need one; also one in a store (`s3://...`).
    - `posterior`: `"avp"` trains one; `"bank"` computes it from labelled images.
    - `overrides`: settings of the task's `annotation` and `avp` that are replaced, such as
      `{"annotation.samples": 500, "avp.epochs": 5}`. `images` (how many to annotate), `criterion`,
      `search`, `completion`, `bank_images`, `samples` and `observed` are short for those of
      `annotation`.
    - `executor`: who does the shards of the long stages (bank, folds, sequences): `"local"`,
      processes of this machine, `"ray"`, a Ray cluster's, or an `Executor`. Changes no byte.
    - `workers`: how many (default: one a core, or a GPU). Changes no byte.
    - `ray_address`: of the cluster (default: `RAY_ADDRESS`, or one that this call starts).
    - `part`: `"NUMBER/COUNT"`: annotate every COUNT-th shard only, beside calls for the others in
      the same folder; a call without it, after them, writes the dataset.
    - `store`: a place such as `"s3://BUCKET/FOLDER"` where all that is finished is kept too; a
      build on another machine, in an empty folder, goes on from there. Workers that do not share
      the folder `out` find and leave what they need there.
    - `threads`: threads that train the AVP. Sums are added in another order with another number,
      so it is part of what made the AVP; one makes the same bytes on any number of cores.
    - `with_images`: whether the dataset holds the images, where the task's licence lets it.
    - `bank`: where the bank's images come from: a generator, as `docs/generators.md` names them
      (`"stylegan:FILE"`, `"gan"`, `"FILE.py:NAME"`); default: the task's own images.
    - `precision`: of the posterior while it annotates: `"float32"` or `"bfloat16"`.
    - `folds`: cross-fitting. With 2 or more, each part of the training images is annotated with
      bank and posterior made of the others, so that all of them can be.

    **Returns** `out`. Raises `NogsError` on bad input; whatever stages had finished are kept.
    """
    device = choose_device(device)
    plan = BuildPlan(
        spec=task if isinstance(task, str | Task) else tuple(task),
        out=Path(out).absolute(),
        data=data_folder(data),
        seed=seed,
        posterior=posterior,
        threads=threads,
        device=device,
        settings=merged_settings(
            "build",
            overrides,
            images=images,
            criterion=criterion,
            search=search,
            completion=completion,
            bank_images=bank_images,
            samples=samples,
            observed=observed,
        ),
        bank=bank,
        precision=precision,
        store=store,
    )
    if store is not None:
        check_store(store)
    if folds < 1:
        raise NogsError(f"--folds {folds}: give 1, or more for cross-fitting")
    _check(plan)
    if isinstance(executor, str):
        executor = open_executor(executor, Crew(workers, device, ray_address))
    torch.set_num_threads(plan.threads)
    plans = [replace(plan, fold=Fold(number, folds)) for number in range(folds)]
    if part is not None:
        annotate_part(plans, executor, read_part(part))
        return Path(out)
    with alone(plan):
        outcome = annotate_folds(plans, executor)
        for place, one in enumerate(plan.tasks):
            write_dataset(
                one,
                plan.folder(one),
                **_rows(one, plan.data, with_images),
                annotations=outcome.annotations(one, place),
                provenance=outcome.provenance(place, device),
                quality=outcome.quality(place),
                calibration=outcome.calibration(place),
                origin=f"built by nogs-bench with the {posterior} posterior",
            )
            plan.mirror.push(*dataset_files(plan.folder(one)))
    return Path(out)


def _check(plan: BuildPlan) -> None:
    """Say unknown names and what cannot go together before any work."""
    annotation = plan.task.annotation
    check_names(plan)
    criterion, _ = CRITERIA[annotation.criterion], PRECISIONS[plan.precision]
    kind = COMPLETIONS[annotation.completion]
    kind.config(plan.task, plan.device)
    if not kind.labelled:
        criterion(torch.zeros(1, 1, len(plan.task.classes)), torch.tensor([-1]))


def _rows(task: Task, data: Path | None, with_images: bool) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for split in ("train", "validation", "test"):
        loaded: LabelledImages = load_split(task, split, data)
        ships = with_images and task.images_may_ship
        rows[split] = loaded if ships else LabelsOnly(loaded.labels)
    return rows
