"""`nogs-bench build`: from a task's images to a dataset folder, stage by stage.

bank -> posterior -> first step -> sequences -> dataset. Every stage before the last writes under
`OUT/.build/`, named by a digest of all that it depends on, so that a build that was stopped goes
on, and one with other settings does not mix with it.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.calibration import calibration, calibration_record, fixed_cells
from nogs_bench.builders.completion import load_completions
from nogs_bench.builders.dataset import write_dataset
from nogs_bench.builders.epe import CRITERIA
from nogs_bench.builders.generated import generate
from nogs_bench.builders.parquet import Annotations, LabelsOnly, Rows
from nogs_bench.builders.plan import BuildPlan
from nogs_bench.builders.posterior import Posterior, along
from nogs_bench.builders.posteriors import POSTERIORS
from nogs_bench.builders.roles import Roles, assign_roles
from nogs_bench.builders.search import SEARCHES
from nogs_bench.builders.shards import annotate_all
from nogs_bench.builders.stages import Stages, prepare
from nogs_bench.device import choose_device
from nogs_bench.images import LabelledImages, data_folder
from nogs_bench.task import Task


def build(
    task: str | Task,
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
) -> Path:
    """Annotate a task's first `images` training images and write the dataset folder `out`.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, or a `Task`.
    - `images`: how many to annotate (default: the task's `annotation.images`).
    - `data`: folder of the task's images, where they need one.
    - `posterior`: `"avp"` trains one; `"bank"` computes it from labelled images.
    - `criterion`, `search`: override the task's `annotation`.
    - `workers`: annotating processes (default: one a core; one if on a GPU). Changes no byte.
    - `threads`: threads that train the AVP. Sums are added in another order with another number,
      so it is part of what made the AVP; one makes the same bytes on any number of cores.
    - `with_images`: whether the dataset holds the images, where the task's licence lets it.
    - `bank`: where the bank's images come from: a generator, as `docs/generators.md` names them
      (`"stylegan:FILE"`, `"gan"`, `"FILE.py:NAME"`); default: the task's own images.
    - `bank_images`: how many; overrides the task's `annotation`.
    - `completion`: what completes images, in `builders.completion.COMPLETIONS`; likewise.

    **Returns** `out`. Raises `NogsError` on bad input; whatever stages had finished are kept.
    """
    cores = os.cpu_count() or 1
    device = choose_device(device)
    plan = BuildPlan(
        spec=task,
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
    )
    chosen = plan.task
    _check(plan)
    torch.set_num_threads(plan.threads)
    make_bank = partial(generate, plan) if bank else None
    roles = assign_roles(chosen, plan.count, seed, plan.data, make_bank)
    stages = prepare(plan, roles)
    workers = workers or (cores if device == "cpu" else 1)
    arrays = annotate_all(stages.load, plan.count, stages.files["sequences"], workers)
    annotations = Annotations(
        index=np.arange(plan.count),
        glimpses=chosen.grid.index_to_pixel(arrays["cells"]),
        epe=arrays["epe"].astype(np.float32),
        maps=arrays["maps"].reshape(plan.count, chosen.T, *chosen.grid.shape),
    )
    provenance = {
        "roles": roles.record,
        "stages": stages.records,
        "environment": {
            "torch": torch.__version__,
            "device": device,
            "cpu": torch.backends.cpu.get_cpu_capability(),
        },
        "evaluations": int(arrays["evaluations"].sum()),
        "effective_samples": arrays["effective_samples"].mean(0).round(1).tolist(),
    }
    measured = stages.posterior()
    return write_dataset(
        chosen,
        plan.out,
        **_rows(chosen, plan.data, with_images),
        annotations=annotations,
        provenance=provenance,
        quality=_quality(measured, stages, roles, arrays["cells"]),
        calibration=_calibration(measured, stages, roles),
        origin=f"built by nogs-bench with the {posterior} posterior",
    )


def _check(plan: BuildPlan) -> None:
    """Say unknown names and what cannot go together before any work."""
    annotation = plan.task.annotation
    criterion, _ = CRITERIA[annotation.criterion], SEARCHES[annotation.search]
    _ = POSTERIORS[plan.posterior]
    kind = load_completions()[annotation.completion]
    kind.config(plan.task, plan.device)
    if not kind.labelled:
        criterion(torch.zeros(1, 1, len(plan.task.classes)), torch.tensor([-1]))


def _quality(
    posterior: Posterior, stages: Stages, roles: Roles, cells: np.ndarray
) -> dict[str, dict[str, list[float]]]:
    """The posterior along the built sequences, and along random ones, of the annotated images."""
    plan, task = stages.plan, stages.plan.task
    labels = roles.annotated.labels[:, task.target]
    random = np.random.default_rng([plan.seed, 2]).integers(task.grid.cells, size=cells.shape)
    return {
        name: along(posterior, roles.annotated.images, labels, taken, plan.device)
        for name, taken in (("built", cells), ("random", random))
    }


def _calibration(posterior: Posterior, stages: Stages, roles: Roles) -> dict[str, Any]:
    """How far the posterior is as often right as it says, on the annotated images."""
    task, images = stages.plan.task, roles.annotated
    cells = fixed_cells(task.grid, len(images), task.T)
    labels = images.labels[:, task.target]
    return calibration_record(
        calibration(posterior, images.images, labels, cells, stages.plan.device)
    )


def _rows(task: Task, data: Path | None, with_images: bool) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for split in ("train", "validation", "test"):
        loaded: LabelledImages = task.source.load(split, data)
        ships = with_images and task.images_may_ship
        rows[split] = loaded if ships else LabelsOnly(loaded.labels)
    return rows
