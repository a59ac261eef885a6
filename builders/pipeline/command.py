"""`nogs-bench build`: from a task's images to a dataset folder, stage by stage.

bank -> posterior -> first step -> sequences -> dataset. Every stage before the last writes under
`OUT/.build/`, named by a digest of all that it depends on, so that a build that was stopped goes
on, and one with other settings does not mix with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from nogs_bench.builders.bank import Fold
from nogs_bench.builders.dataset import (
    LabelsOnly,
    Rows,
    dataset_files,
    require_apart,
    require_own_images,
    require_vacant,
    write_dataset,
)
from nogs_bench.builders.pipeline.folds import Outcome
from nogs_bench.builders.pipeline.parts import read_part
from nogs_bench.builders.pipeline.plan import BuildPlan, check_plan, task_folder, tasks_of
from nogs_bench.builders.pipeline.spread import alone, annotate_folds, annotate_part
from nogs_bench.builders.pipeline.worth import announce, verdict
from nogs_bench.device import choose_device, determined, in_turn, on_threads
from nogs_bench.errors import NogsError
from nogs_bench.executors import Where
from nogs_bench.files import check_store
from nogs_bench.images import EVERY_SPLIT, LabelledImages, data_folder, say
from nogs_bench.tasks import (
    BY_NAME,
    COUNT,
    NUMBER,
    Task,
    load_split,
    merged_settings,
    settled,
    split_short,
    with_choices,
)

HERE = Where()


@in_turn("build")
def build(
    task: str | Task | Sequence[str | Task],
    out: str | Path,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    posterior: str = "avp",
    bank: str | None = None,
    precision: str = "float32",
    folds: int = 1,
    with_images: bool = True,
    replace: bool = False,
    overrides: Mapping[str, Any] | None = None,
    anyway: bool = False,
    where: Where = HERE,
    **given: Any,
) -> Path:
    """Annotate a task's first training images and write the dataset folder `out`.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, a `Task`, or images that become one: a folder, or
      `"hf:OWNER/NAME"`, as `task_of` takes them. The choices of `task_of` (`minutes`,
      `image_size`, `glimpse`, `glimpses`, `label`) may be `given`; `label="*"` means all labels.
      Several tasks of one family (a sequence, or a pattern such as `"celeba-hq-*"`) are annotated
      together, with one AVP. The folder of each is then `out/<its name>`.
    - `out`: the dataset folder to write. A build that was stopped goes on from what is there.
    - `data`: folder of the task's images, if it needs one. It may be in a store (`s3://...`).
    - `seed`: of all that is random.
    - `posterior`: `"avp"` trains a network; `"bank"` computes the posterior from labelled images.
    - `bank`: where the bank's images come from: a generator, as `docs/generators.md` names them
      (`"stylegan:FILE"`, `"gan"`, `"FILE.py:NAME"`). None: the task's own images.
    - `precision`: of the posterior while it annotates: `"float32"` or `"bfloat16"`.
    - `folds`: with 2 or more, each part of the training images is annotated with a bank and a
      posterior made of the other parts, so that all images can be annotated (cross-fitting).
    - `with_images`: whether the dataset holds the images, if the task's licence allows it.
    - `replace`: whether a finished dataset in `out`, of another task or made with other settings,
      may be replaced. More images, with the same settings, need no `replace`.
    - `overrides`: settings to replace, of the task's `annotation` and `avp`, such as
      `{"annotation.samples": 500, "avp.epochs": 5}`. Those of `annotation` that have a short form
      can be `given`: `images` (how many to annotate), `criterion`, `search`, `completion`,
      `bank_images`, `samples` and `observed`.
    - `anyway`: search even if the AVP is no better than always giving the commonest answer, where
      the build would otherwise end (`Task.stops_blind`).
    - `where`: who does the shards of the long stages (bank, folds, sequences), on which device, and
      in which store all that is finished is also kept. Workers that do not share the folder `out`
      use this store. Its fields can also be `given` as arguments (`workers=2`).

    **Returns** `out`. Raises `NogsError` on bad input. Stages that had finished are kept.
    """
    choices = {name: given.pop(name) for name in BY_NAME if name in given}
    task = with_choices(task, choices)
    if not isinstance(task, str | Task | Sequence):
        raise NogsError(f"no task {task}: there is no such folder of images, and it names no task")
    short, place = split_short("build", given)
    where = where.using("build", [field.name for field in fields(Where)], place)
    device = choose_device(where.device)
    seed, folds = settled("--seed", seed, "int", NUMBER), settled("--folds", folds, "int", COUNT)
    plan = BuildPlan(
        spec=task if isinstance(task, str | Task) else tuple(task),
        out=Path(out).absolute(),
        data=data_folder(data),
        seed=seed,
        posterior=posterior,
        threads=settled("--threads", where.threads, "int", COUNT),
        device=device,
        settings=merged_settings("build", overrides, **short),
        bank=bank,
        precision=precision,
        store=where.store,
        anyway=anyway,
        deterministic=where.deterministic,
    )
    if where.store is not None:
        check_store(where.store)
    check_plan(plan)
    asked = plan.asked(folds)
    for one in plan.tasks:
        require_apart(one, plan.folder(one))
        require_vacant(one.name, plan.folder(one), replace, asked)
        require_own_images(one, plan.folder(one), plan.data, replace)
    executor = where.open(device)
    announce(plan, executor.workers)
    plans = [dataclasses.replace(plan, fold=Fold(number, folds)) for number in range(folds)]
    with on_threads(plan.threads), determined(where.deterministic):
        if where.part is not None:
            annotate_part(plans, executor, read_part(where.part))
        else:
            with alone(plan):
                _write(plan, annotate_folds(plans, executor), with_images, asked)
    return Path(out)


def made_folders(out: Path, task: str, **choices: Any) -> list[Path]:
    """The dataset folders of a finished `build(task, out, **choices)`; more may lie beside them."""
    made = with_choices(task, choices)
    tasks = tasks_of(made)
    return [task_folder(out, one, len(tasks)) for one in tasks]


def _write(plan: BuildPlan, outcome: Outcome, with_images: bool, asked: dict[str, Any]) -> None:
    """Write the dataset folder of each task, and say what its sequences are worth."""
    for number, one in enumerate(plan.tasks):
        write_dataset(
            one,
            plan.folder(one),
            **_rows(one, plan.data, with_images),
            annotations=outcome.annotations(one, number),
            provenance=outcome.provenance(number, plan.device) | {"asked": asked},
            quality=outcome.quality(number),
            calibration=outcome.calibration(number),
            posterior=outcome.networks(),
            origin=f"built by nogs-bench with the {plan.posterior} posterior",
        )
        plan.mirror.push(*dataset_files(plan.folder(one)))
        say(verdict(one, outcome.quality(number)))


def _rows(task: Task, data: Path | None, with_images: bool) -> dict[str, Rows]:
    rows: dict[str, Rows] = {}
    for split in EVERY_SPLIT:
        loaded: LabelledImages = load_split(task, split, data)
        ships = with_images and task.images_may_ship
        rows[split] = loaded if ships else LabelsOnly(loaded.labels)
    return rows
