"""One task's part of an evaluation: its runs, and the images and sequences that they need."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.configs import (
    drawn_by,
    method_info,
    model_info,
    pretraining_stage,
    run_config,
)
from nogs_bench.evaluation.jobs import Place, RunPlan
from nogs_bench.evaluation.lessons import Places, find_lessons
from nogs_bench.files import fetched, is_url
from nogs_bench.images import (
    EVERY_SPLIT,
    ImageSource,
    LabelledImages,
    digest_of_splits,
    shared_images,
)
from nogs_bench.methods import Method, asked_methods, method_source, named_settings
from nogs_bench.own_code import joint_digest
from nogs_bench.results import MethodInfo, PretrainingInfo
from nogs_bench.sequences import Annotations, write_annotations
from nogs_bench.tasks import (
    Task,
    get_task,
    load_split,
    renew_task,
    with_settings,
)
from nogs_bench.training import Material, make_sequences, supervising


@dataclass(frozen=True)
class FamilyImages:
    """A family's images by split, the sha256 of all of them with their labels, and their source."""

    splits: Mapping[str, LabelledImages]
    digest: str
    source: ImageSource

    @classmethod
    def load(cls, task: Task, data: Path | None) -> FamilyImages:
        splits = {name: load_split(task, name, data) for name in EVERY_SPLIT}
        return cls(splits, digest_of_splits(splits.items()), task.source)


@dataclass(frozen=True)
class Wanted:
    """What the caller of `evaluate` wants of every task; see there."""

    model: str
    methods: str | Sequence[str]
    seeds: int | Sequence[int]
    protocol: str | None
    settings: Mapping[str, Any]
    sequences: str | Path | None
    maps: str | Path | None
    keypoints: str | Path | None
    data: Path | None


@dataclass(frozen=True)
class Study:
    """The runs of one task.

    - `task`: with the hyperparameters of the protocol, and the caller's.
    - `splits`: its images by split; tasks of one family have the same object.
    - `annotations`: the supervising sequences by method.
    """

    task: Task
    runs: tuple[RunPlan, ...]
    splits: Mapping[str, LabelledImages]
    annotations: Mapping[str, Annotations]


@dataclass(frozen=True)
class _Course:
    """What the runs of one method have in common, whatever their seeds.

    - `spec`: what names the method. - `task`: with the method's learning rate.
    - `stage`: its pre-training.
    """

    spec: str
    method: Method
    task: Task
    stage: PretrainingInfo | None
    lessons: Places

    @property
    def info(self) -> MethodInfo | None:
        source = method_source(self.spec, *drawn_by(self.stage))
        return method_info(self.method, source, self.lessons.digests)


def study_of(task: str | Task, wanted: Wanted, images: dict[str, FamilyImages]) -> Study:
    """Plan the runs of a task. `images` keeps the splits of each family for the next task.

    Raises `NogsError` at bad input.
    """
    registered = renew_task(get_task(task))
    own = registered.protocol(wanted.protocol).training or registered.training
    tuned = with_settings(replace(registered, training=own), wanted.settings, wanted.protocol)
    plan = tuned.protocol(wanted.protocol)
    methods = asked_methods(wanted.methods, tuned, plan)
    rate = wanted.settings.get("training.learning_rate")
    if rate is not None:
        _require_one_rate(methods.values(), rate, own.learning_rate)
    if wanted.keypoints is not None and not Path(wanted.keypoints).is_file():
        raise NogsError(f"no file of keypoints {wanted.keypoints}")
    seeds = _seeds(wanted.seeds)
    sequences = _of_task(wanted.sequences, tuned.name)
    maps = _of_task(wanted.maps, tuned.name) or sequences
    shown = _images_of(tuned, wanted, images)
    annotations = _annotations(tuned, wanted, methods.values(), shown, sequences, maps)
    info = model_info(wanted.model, tuned)
    courses = [
        _Course(
            spec,
            method,
            tuned if rate is not None else _paced(tuned, method.rate),
            pretraining_stage(tuned, plan, method, maps),
            find_lessons(tuned, method, sequences, maps, annotations.get(method.name)),
        )
        for spec, method in methods.items()
    ]
    runs = tuple(
        RunPlan(
            run_config(
                course.task,
                plan,
                course.method,
                info,
                seed,
                course.stage,
                annotations,
                shown.digest,
                course.info,
            ),
            task if isinstance(task, str) else registered.name,
            course.spec,
            maps=course.lessons.maps,
            posterior=course.lessons.posterior,
            glimpses=joint_digest("", *drawn_by(course.stage)) or None,
        )
        for seed in seeds
        for course in courses
    )
    return Study(tuned, runs, shown.splits, annotations)


def _images_of(task: Task, wanted: Wanted, images: dict[str, FamilyImages]) -> FamilyImages:
    """Of the task's family, which are loaded once."""
    if task.family not in images:
        images[task.family] = FamilyImages.load(task, wanted.data)
    if images[task.family].source != task.source:
        raise NogsError(
            f"{task.name} and another task of the family {task.family} have different images; "
            "give each family a name of its own"
        )
    return images[task.family]


def _annotations(
    task: Task,
    wanted: Wanted,
    methods: Iterable[Method],
    images: FamilyImages,
    sequences: str | None,
    maps: str | None,
) -> dict[str, Annotations]:
    """The sequences that supervise, by method."""
    supervised = [method for method in methods if method.supervised]
    if not supervised:
        return {}
    train, count = images.splits["train"], wanted.settings.get("training.supervised")
    material = Material(
        task,
        supervising(task, sequences, count, train),
        train,
        maps,
        wanted.data,
        None if wanted.keypoints is None else Path(wanted.keypoints),
    )
    return {
        method.name: make_sequences(method.sequences, material)
        for method in supervised
        if method.sequences is not None
    }


def _require_one_rate(methods: Iterable[Method], rate: float, usual: float) -> None:
    """Raise `NogsError` where a method's name says another learning rate than is given."""
    for method in methods:
        told = named_settings(method.name).get("rate")
        if told is not None and not math.isclose(told * usual, rate):
            raise NogsError(
                f"{method.name} and training.learning_rate both say the learning rate; give one"
            )


def check_apart(studies: Sequence[Study]) -> None:
    """Raise `NogsError` if two studies' tasks have one name, as results would."""
    names = [study.task.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise NogsError(f"two of the tasks are called {name}; evaluate them apart")


@contextmanager
def in_place(studies: Sequence[Study], place: Place) -> Iterator[tuple[Place, list[RunPlan]]]:
    """Place and runs of tasks of one family, images and sequences in files for every process."""
    with shared_images(studies[0].splits, place.checkpoints) as images:
        runs = []
        for study in studies:
            files = {
                method: str(write_annotations(images / f"{study.task.name}-{rows.digest}", rows))
                for method, rows in study.annotations.items()
            }
            runs += [replace(run, sequences=files.get(run.config.method)) for run in study.runs]
        yield replace(place, images=str(images)), runs


def _of_task(where: str | Path | None, task: str) -> str | None:
    """A place of many tasks' datasets to the task's: by `{task}`, or the folder of its name."""
    if where is None:
        return None
    path = str(where).replace("{task}", task)
    if is_url(path):
        path = str(fetched(path))
    inside = Path(path, task)
    return str(inside) if inside.is_dir() else path


def _paced(task: Task, rate: float) -> Task:
    """The task with `rate` times its learning rate."""
    settings = task.training
    return replace(task, training=replace(settings, learning_rate=settings.learning_rate * rate))


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    try:
        if isinstance(seeds, Iterable) and not isinstance(seeds, str):
            listed = list(dict.fromkeys(operator.index(seed) for seed in seeds))
        else:
            listed = list(range(operator.index(seeds)))
    except TypeError:
        listed = []
    if not listed or min(listed) < 0:
        raise NogsError(f"seeds must be a count of at least 1 or numbers from 0 on, got {seeds}")
    return listed
