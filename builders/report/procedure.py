"""One step of algorithm 1, laid open: the paper's figure 7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nogs_bench.builders.dataset import WORKSPACE
from nogs_bench.builders.pipeline import POSTERIORS, BuildPlan, Stages
from nogs_bench.builders.search import Annotator, Ask, Found, Problem, Steps
from nogs_bench.errors import NogsError
from nogs_bench.files import map_arrays, read_provenance, stage_name
from nogs_bench.sequences import built_task, recorded_grid
from nogs_bench.tasks import Annotation, AvpTraining, GlimpseGrid, Task

SHOWN = 4
OTHER = "{build} was not built of {task} as that is now; give the task as it was then"
STAGE = {"stage": str, "key": str, "seed": int, "config": dict}  # what a stage records
Part = TypeVar("Part", Annotation, AvpTraining)


@dataclass(frozen=True)
class Procedure:
    """The choice of an image's glimpse after those at the cells `prefix`.

    - `image`: uint8 (channels, image_size, image_size); `completions` likewise, (n, ...).
    - `nats`: float64 (n, cells), of each completion at each cell: the entropy after a glimpse there
      (or the build's other criterion).
    """

    grid: GlimpseGrid
    image: np.ndarray
    prefix: np.ndarray
    completions: np.ndarray
    nats: np.ndarray


def lay_open(
    folder: Path,
    index: int,
    prefix: np.ndarray,
    task: str | Task | None = None,
    build: Path | None = None,
) -> Procedure:
    """Draw completions of an annotated image anew, and evaluate a few of them at every cell.

    - `folder`: of the dataset; `build`: where it was built, if elsewhere, as one of several is.
    - `index`: the image's number in the training split; `prefix`: int64 cells, the glimpses taken.
    - `task`: as `build` was called with it.

    Raises `NogsError` if the build's files are gone, or it was built of generated images or folds.
    """
    build = build or folder
    stages = _stages(folder, build, task)
    kept = map_arrays(stages.files["bank"])
    rows = np.flatnonzero(kept["annotated_numbers"] == index)
    if not len(rows):
        raise NogsError(f"{build} did not annotate image {index} of the training split")
    try:
        annotator = stages.annotator()
    except RuntimeError as error:  # of other networks than the weights are
        about = stages.plan.task.name
        raise NogsError(OTHER.format(build=build, task=about)) from error
    return _look(annotator, kept["annotated_images"][rows[0]], index, prefix)


def is_open(record: Mapping[str, Any], build: Path) -> bool:
    """Whether `build` still holds what `lay_open` needs of the build that the record is of."""
    files = _files(record, build)
    return bool(files) and all(path.is_file() for path in files.values())


def _files(record: Mapping[str, Any], build: Path) -> dict[str, Path]:
    """The files of the stages by name; empty if there is no one step to show.

    Raises `NogsError` if what is recorded of a stage is damaged.
    """
    made = record["made_by"].get("stages", {})
    if "first-step" not in made or "generated-bank" in made:
        return {}
    for each in (made.get("posterior"), *made.values()):
        known = each if isinstance(each, dict) else {}
        if not all(isinstance(known.get(name), kind) for name, kind in STAGE.items()):
            raise NogsError(f"{build}: the record of its stages is damaged; build it again")
    return {
        name: build / WORKSPACE / f"{stage_name(each['stage'], each['key'])}.safetensors"
        for name, each in made.items()
        if name not in ("first-step", "sequences")
    }


def _stages(folder: Path, build: Path, task: str | Task | None) -> Stages:
    """The stages that the dataset's record names, found again; none is made."""
    record = read_provenance(folder)
    files = _files(record, build)
    if not files:
        raise NogsError(
            f"{build}: a step can be shown only of sequences that were built from the task's own "
            "images, in one fold"
        )
    for path in files.values():
        if not path.is_file():
            raise NogsError(f"{path} is missing: name the folder that the dataset was built in")
    made = record["made_by"]["stages"]
    config = made["first-step"]["config"]
    about = built_task(task, folder)
    if about.grid != recorded_grid(folder):
        raise NogsError(OTHER.format(build=folder, task=about.name))
    spec = replace(about, annotation=_recorded(about.annotation, config))
    # Of a network, which a posterior need not be.
    avp = _recorded(about.avp, made["posterior"]["config"].get("avp", {}))
    # The file of weights that training began with is not needed again.
    spec = replace(spec, avp=replace(avp, network=avp.network.partition("@")[0]))
    plan = BuildPlan(
        spec=spec,
        out=build,
        seed=made["first-step"]["seed"],
        posterior=_posterior(made["posterior"]["stage"], spec),
        precision=config.get("precision", "float32"),
    )
    return Stages(plan, files, dict(made))


def _recorded(part: Part, config: Mapping[str, Any]) -> Part:
    """A task's `annotation` or `avp`, with what a stage's configuration records of it."""
    known = {field.name for field in fields(part)} & config.keys()
    values: dict[str, Any] = {
        name: tuple(config[name]) if isinstance(config[name], list) else config[name]
        for name in known
    }
    return replace(part, **values)


def _posterior(stage: str, task: Task) -> str:
    """The posterior whose file is called `stage`."""
    names = [name for name in POSTERIORS.names() if POSTERIORS[name].steps(task)[-1].stage == stage]
    if not names:
        raise NogsError(
            f"no posterior makes a file called {stage!r}; install the package that registers it"
        )
    return names[0]


def _look(annotator: Annotator, image: np.ndarray, index: int, prefix: np.ndarray) -> Procedure:
    task = annotator.task
    query = annotator.completion.query(image)
    for cell in prefix:
        query.observe(int(cell))
    rng = np.random.default_rng([annotator.seed, 1, index, len(prefix) + 1])
    step = annotator.step(query, image, prefix, (task.target,), rng)
    nats: np.ndarray = np.empty((0, 0))

    def few(problem: Problem) -> Steps:
        nonlocal nats
        nats = yield Ask(np.arange(problem.cells), np.arange(min(SHOWN, problem.samples)))
        return Found(int(nats.mean(1).argmin()), nats.mean(1))

    annotator.evaluator.search(few, [step], task.grid.shape)
    return Procedure(task.grid, image, prefix, step.drawn(nats.shape[1]), nats.T)
