"""`nogs-bench build`: from a task's images to a dataset folder, stage by stage.

bank -> posterior -> first step -> sequences -> dataset. Every stage before the last writes under
`OUT/.build/`, named by a digest of all that it depends on, so that a build that was stopped goes
on, and one with other settings does not mix with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from nogs_bench.builders.completion import load_completions
from nogs_bench.builders.dataset import write_dataset
from nogs_bench.builders.epe import CRITERIA
from nogs_bench.builders.folds import Outcome, annotate_fold
from nogs_bench.builders.lockstep import PRECISIONS
from nogs_bench.builders.parquet import LabelsOnly, Rows
from nogs_bench.builders.plan import BuildPlan
from nogs_bench.builders.posteriors import POSTERIORS
from nogs_bench.builders.roles import Fold
from nogs_bench.builders.search import load_searches
from nogs_bench.device import choose_device
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, data_folder
from nogs_bench.task import Task


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
    with_images: bool = True,
    bank: str | None = None,
    bank_images: int | None = None,
    completion: str | None = None,
    observed: str | None = None,
    precision: str = "float32",
    folds: int = 1,
    samples: int | None = None,
) -> Path:
    """Annotate a task's first `images` training images and write the dataset folder `out`.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, or a `Task`. Several tasks of one family (a
      sequence, or a pattern such as `"celeba-hq-*"`) are annotated together, from one AVP, and
      each one's folder is `out/<its name>`.
    - `images`: how many to annotate (default: the task's `annotation.images`).
    - `data`: folder of the task's images, where they need one.
    - `posterior`: `"avp"` trains one; `"bank"` computes it from labelled images.
    - `criterion`, `search`, `samples`, `observed`: override the task's `annotation`.
    - `workers`: annotating processes (default: one a core; one if on a GPU). Changes no byte.
    - `threads`: threads that train the AVP. Sums are added in another order with another number,
      so it is part of what made the AVP; one makes the same bytes on any number of cores.
    - `with_images`: whether the dataset holds the images, where the task's licence lets it.
    - `bank`: where the bank's images come from: a generator, as `docs/generators.md` names them
      (`"stylegan:FILE"`, `"gan"`, `"FILE.py:NAME"`); default: the task's own images.
    - `bank_images`: how many; overrides the task's `annotation`.
    - `completion`: what completes images, in `builders.completion.COMPLETIONS`; likewise.
    - `precision`: of the posterior while it annotates: `"float32"` or `"bfloat16"`.
    - `folds`: cross-fitting. With 2 or more, each part of the training images is annotated with
      bank and posterior made of the others, so that all of them can be.

    **Returns** `out`. Raises `NogsError` on bad input; whatever stages had finished are kept.
    """
    cores = os.cpu_count() or 1
    device = choose_device(device)
    plan = BuildPlan(
        spec=task if isinstance(task, str | Task) else tuple(task),
        out=Path(out),
        images=images,
        data=data_folder(data),
        seed=seed,
        posterior=posterior,
        criterion=criterion,
        search=search,
        threads=threads,
        device=device,
        bank=bank,
        bank_images=bank_images,
        completion=completion,
        observed=observed,
        samples=samples,
        precision=precision,
    )
    if folds < 1:
        raise NogsError(f"--folds {folds}: give 1, or more for cross-fitting")
    _check(plan)
    torch.set_num_threads(plan.threads)
    workers = workers or (cores if device == "cpu" else 1)
    plans = [replace(plan, fold=Fold(number, folds)) for number in range(folds)]
    outcome = Outcome([annotate_fold(one, workers) for one in plans])
    for place, one in enumerate(plan.tasks):
        folder = plan.out / one.name if len(plan.tasks) > 1 else plan.out
        write_dataset(
            one,
            folder,
            **_rows(one, plan.data, with_images),
            annotations=outcome.annotations(one, place),
            provenance=outcome.provenance(place, device),
            quality=outcome.quality(place),
            calibration=outcome.calibration(place),
            origin=f"built by nogs-bench with the {posterior} posterior",
        )
    return plan.out


def _check(plan: BuildPlan) -> None:
    """Say unknown names and what cannot go together before any work."""
    annotation = plan.task.annotation
    criterion, _ = CRITERIA[annotation.criterion], load_searches()[annotation.search]
    _, _ = POSTERIORS[plan.posterior], PRECISIONS[plan.precision]
    kind = load_completions()[annotation.completion]
    kind.config(plan.task, plan.device)
    if not kind.labelled:
        criterion(torch.zeros(1, 1, len(plan.task.classes)), torch.tensor([-1]))


def _rows(task: Task, data: Path | None, with_images: bool) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for split in ("train", "validation", "test"):
        loaded: LabelledImages = task.source.load(split, data)
        ships = with_images and task.images_may_ship
        rows[split] = loaded if ships else LabelsOnly(loaded.labels)
    return rows
