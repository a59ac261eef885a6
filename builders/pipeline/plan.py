"""The settings of a build, resolved against its task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nogs_bench.builders.bank import WHOLE, Fold
from nogs_bench.builders.completion import COMPLETIONS
from nogs_bench.builders.dataset import WORKSPACE
from nogs_bench.builders.generators import named_generator
from nogs_bench.builders.pipeline.posteriors import POSTERIORS
from nogs_bench.builders.pipeline.workspace import Workspace
from nogs_bench.builders.posterior import check_network, keyed
from nogs_bench.builders.search import CRITERIA, PRECISIONS, SEARCHES, check_own
from nogs_bench.device import device_kind
from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror
from nogs_bench.tasks import Task, get_task, task_names, with_settings

# What the tasks of one family may differ in and still be annotated together.
OWN = (
    *("name", "version", "description", "target", "protocols", "convergence", "reference"),
    "judged_by",
)


@dataclass(frozen=True)
class BuildPlan:
    """The arguments of `build`; picklable, so that worker processes can be started from it.

    `settings`: what replaces the tasks' own, as `tasks.merged_settings` gives it; `anyway`: whether
    to search with a posterior that tells nothing; `deterministic`: whether deterministic algorithms
    alone are used.
    """

    spec: str | Task | tuple[str | Task, ...]
    out: Path
    data: Path | None = None
    seed: int = 0
    posterior: str = "avp"
    threads: int = 1
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)
    bank: str | None = None
    precision: str = "float32"
    fold: Fold = WHOLE
    store: str | None = None
    anyway: bool = False
    deterministic: bool = False

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: a task from a user's file is loaded from that file again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, with the plan's settings."""
        tasks = tuple(with_settings(task, self.settings) for task in tasks_of(self.spec))
        shared = [field.name for field in fields(Task) if field.name not in OWN]
        for task in tasks:
            for name in shared:
                if getattr(task, name) != getattr(tasks[0], name):
                    raise NogsError(
                        f"{task.name} and {tasks[0].name} differ in {name}; only tasks of "
                        "one family that agree in it can be built together"
                    )
        return tasks

    @property
    def task(self) -> Task:
        """The task, or the first of several of one family: they share all that a build needs."""
        return self.tasks[0]

    @property
    def targets(self) -> tuple[int, ...]:
        """The labels of the family that are annotated for."""
        return tuple(task.target for task in self.tasks)

    @property
    def count(self) -> int:
        """How many images are annotated, in all folds."""
        return self.task.annotation.images

    def asked(self, folds: int) -> dict[str, Any]:
        """What sequences depend on beside the images and how many are annotated, by name, as JSON
        holds it: files of weights by their digests, a bank by its kind of generator."""
        task, bank = self.task, self.bank and named_generator(self.bank)[0]
        annotation, avp = asdict(task.annotation), asdict(task.avp)
        del annotation["images"]
        avp |= {name: keyed(avp[name]) for name in ("network", "teacher")}
        settings = {"seed": self.seed, "posterior": self.posterior, "bank": bank, "folds": folds}
        settings |= {"precision": self.precision, "T": task.T, "grid": asdict(task.grid)}
        settings |= {f"annotation.{name}": value for name, value in annotation.items()}
        settings |= {f"avp.{name}": value for name, value in avp.items()}
        return dict(json.loads(json.dumps(settings)))

    @property
    def device_kind(self) -> str:
        """What of the device's name the stages' configurations hold."""
        return device_kind(self.device)

    @property
    def exactness(self) -> dict[str, Any]:
        """What the device has to do with a stage's bytes, for its configuration: on a CPU, whether
        algorithms are deterministic changes none."""
        return {"deterministic": True} if self.deterministic and self.device != "cpu" else {}

    @property
    def workspace(self) -> Workspace:
        """Where the stages' files are."""
        return Workspace(self.out / WORKSPACE, self.mirror)

    @property
    def mirror(self) -> Mirror:
        """Where the build's finished files are kept too."""
        return Mirror(self.out, self.store)

    def folder(self, task: Task) -> Path:
        """Where the dataset of one of the tasks goes."""
        return task_folder(self.out, task, len(self.tasks))


def task_folder(out: Path, task: Task, count: int) -> Path:
    """Where the dataset goes of one of the `count` tasks that are built into `out`."""
    return out / task.name if count > 1 else out


def check_plan(plan: BuildPlan) -> None:
    """Raise `NogsError` at a name that a plan gives and nothing has, and what cannot go together,
    before any work."""
    task = plan.task
    check_settings(task)
    _, _ = POSTERIORS[plan.posterior], PRECISIONS[plan.precision]
    if plan.bank:
        named_generator(plan.bank)
    kind = COMPLETIONS[task.annotation.completion]
    kind.config(task, plan.device_kind)
    if not kind.labelled:
        criterion = CRITERIA[task.annotation.criterion]
        criterion(torch.zeros(1, 1, len(task.classes)), torch.tensor([-1]))
    check_own(task)


def check_settings(task: Task) -> None:
    """Raise `NogsError` at a name that a task's `annotation` or `avp` gives and nothing has."""
    annotation = task.annotation
    _, _ = CRITERIA[annotation.criterion], SEARCHES[annotation.search]
    COMPLETIONS[annotation.completion]
    for network in filter(None, (task.avp.network, task.avp.teacher)):
        check_network(network)


def tasks_of(spec: str | Task | Sequence[str | Task]) -> tuple[Task, ...]:
    """The tasks that `spec` stands for: one or several, by themselves, by name or by a pattern of
    names as in `task_names`.

    Raises `NogsError` if there is none, or two are about the same label.
    """
    parts = (spec,) if isinstance(spec, str | Task) else spec
    tasks = tuple(
        get_task(one)
        for part in parts
        for one in ([part] if isinstance(part, Task) else task_names([part]))
    )
    if not tasks:
        raise NogsError("no task given; `nogs-bench tasks --json` lists all")
    if len({task.target for task in tasks}) < len(tasks):
        named = ", ".join(task.name for task in tasks)
        raise NogsError(f"{named}: two of the tasks are about the same label; build them apart")
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        labels = [task.labels[task.target].name for task in tasks if task.name == twice]
        raise NogsError(
            f"the labels {' and '.join(labels)} would be built as one dataset, {twice}; give one "
            "of them another name"
        )
    return tasks
