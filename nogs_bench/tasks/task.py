"""`Task`: everything that is fixed about a benchmark task, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from os import PathLike, fspath
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json
from nogs_bench.images import ImageSource
from nogs_bench.images import Label as Label
from nogs_bench.images import Splits as Splits
from nogs_bench.notebook import html_facts
from nogs_bench.own_code import load_object
from nogs_bench.registry import Registry, nearest
from nogs_bench.tasks.build_settings import Annotation as Annotation
from nogs_bench.tasks.build_settings import AvpTraining as AvpTraining
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.specs import spec_of
from nogs_bench.tasks.training_settings import JUDGED_BY
from nogs_bench.tasks.training_settings import Convergence as Convergence
from nogs_bench.tasks.training_settings import Pretraining as Pretraining
from nogs_bench.tasks.training_settings import Training as Training
from nogs_bench.tasks.training_settings import TrainingProtocol as TrainingProtocol
from nogs_bench.tasks.values import COUNT, NUMBER, check_name, settle, settled

MANY = ("labels", "protocols")  # fields of several parts


@dataclass(frozen=True)
class Task:
    """A benchmark task: images, a question about them, and the rules of looking and training.

    A task is frozen. All that is fixed about it is here, and is read from here by every command.

    **What it is**

    - `name`: what commands call it.
    - `version`: count it up when a change makes results incomparable with earlier ones.
    - `family`: tasks of one family share images, bank and AVP.
    - `description`: one line.
    - `caveats`: limits and biases of images and labels, a sentence each, for the card.
    - `reference`: published figures, `{method: {quantity: value}}`, with their `"source"`.
    - `chosen`: what was set by hand where rules chose the rest (`task_of`). With the images, this
      makes the same task again.

    **Images**

    - `source`: gives the images and labels of each split.
    - `splits`: how many images each split has.
    - `channels`: 1 (grey) or 3 (colour).
    - `labels`: all labels of the family's images, in the order of the source's columns. The AVP
      has a head for each.
    - `target`: index of the label that this task is about.
    - `licence`: of sequences that are built.
    - `images_licence`, `images_may_ship`: the images' licence, and whether images may go into a
      published dataset.
    - `source_datasets`: where the images come from, as the Hub's cards say it: `"original"`, or
      `"extended|NAME"`, with `other-` before a name that is not on the Hub.

    **Looking**

    - `T`: how many glimpses an image gets.
    - `grid`: the allowed places of a glimpse. It also says the sizes of image and glimpse.

    **Building and training**

    - `avp`, `annotation`: how sequences are built.
    - `stops_blind`: whether a build ends before its search if the AVP is no better than always
      giving the commonest answer.
    - `training`: hyperparameters of the network.
    - `protocols`: ways of training that are scored. The first is the default.
    - `convergence`: the paper's criterion of convergence.
    - `judged_by`: what the protocols' `target_accuracy` is about: `"accuracy"`, or
      `"balanced_accuracy"`, the mean of the classes' own accuracies.

    Raises `NogsError` if a value is out of its range.
    """

    name: str
    version: int
    family: str
    description: str
    channels: int
    labels: tuple[Label, ...]
    T: int
    grid: GlimpseGrid
    splits: Splits
    source: ImageSource
    training: Training
    protocols: tuple[TrainingProtocol, ...]
    avp: AvpTraining
    annotation: Annotation
    licence: str
    images_licence: str
    images_may_ship: bool
    target: int = 0
    convergence: Convergence = field(default_factory=Convergence)
    source_datasets: tuple[str, ...] = ("original",)
    caveats: tuple[str, ...] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    judged_by: str = "accuracy"
    stops_blind: bool = False
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "the task's name")
        check_name(self.family, "the family's name")
        settle(self, f"task {self.name}", {"version": COUNT}, {"judged_by": JUDGED_BY})
        self._check_parts()
        if not 0 <= self.target < len(self.labels):
            raise NogsError(f"task {self.name}: target {self.target} is not one of its labels")
        if self.T < 1 or self.channels < 1 or not self.protocols:
            raise NogsError(f"task {self.name}: T, channels and protocols must not be empty")

    def _check_parts(self) -> None:
        """Raise `NogsError` where a part is of another kind than its field."""
        parts: dict[str, tuple[type, tuple[Any, ...]]] = {
            "grid": (GlimpseGrid, (self.grid,)),
            "splits": (Splits, (self.splits,)),
            "training": (Training, (self.training,)),
            "avp": (AvpTraining, (self.avp,)),
            "annotation": (Annotation, (self.annotation,)),
            "labels": (Label, self.labels),
            "protocols": (TrainingProtocol, self.protocols),
        }
        for name, (kind, found) in parts.items():
            if not isinstance(found, tuple) or not all(isinstance(each, kind) for each in found):
                wanted = f"a tuple of {kind.__name__}" if name in MANY else f"a {kind.__name__}"
                raise NogsError(
                    f"task {self.name}: {name} must be {wanted}, not {getattr(self, name)!r:.60}"
                )
        for part in fields(Splits):
            value = getattr(self.splits, part.name)
            settled(f"task {self.name}: splits.{part.name}", value, "int", NUMBER)

    @property
    def image_size(self) -> int:
        return self.grid.image_size

    @property
    def glimpse_size(self) -> int:
        return self.grid.glimpse_size

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the target's classes."""
        return self.labels[self.target].classes

    @property
    def digest(self) -> str:
        """sha256 of what is asked and where one may look: the label and its classes, T, the grid.

        Results record it, so that runs of a task that was changed without counting its version up
        are not taken for its own. Settings of building and training are not in it.
        """
        label = self.labels[self.target]
        return digest_json([label.name, label.classes, self.T, asdict(self.grid)])

    def protocol(self, name: str | None = None) -> TrainingProtocol:
        """The protocol called `name`; None: the first. Raises `NogsError` if there is none."""
        for protocol in self.protocols:
            if name in (None, protocol.name):
                return protocol
        names = [protocol.name for protocol in self.protocols]
        hint = nearest(str(name), names)
        raise NogsError(
            f"task {self.name} has no protocol {name!r}: {hint}it has {', '.join(names)}"
        )

    def _repr_html_(self) -> str:
        facts = {
            "about": self.description,
            "classes": ", ".join(self.classes[:12]) + (", ..." if len(self.classes) > 12 else ""),
            "images": f"{self.image_size} x {self.image_size} x {self.channels}; "
            f"{self.splits.train:,} to train, {self.splits.validation:,} to validate, "
            f"{self.splits.test:,} to test",
            "glimpses": f"{self.T} of {self.glimpse_size} x {self.glimpse_size} pixels, at "
            f"{self.grid.cells:,} places",
            "protocols": ", ".join(protocol.name for protocol in self.protocols),
            "where the images come from": self.source.summary,
            "licence of the images": self.images_licence,
        }
        return html_facts(f"{self.name}, version {self.version}", facts)

    def summary(self) -> dict[str, Any]:
        """What `nogs-bench tasks --json` prints for the task."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain |= {
            "image_size": self.image_size,
            "glimpse_size": self.glimpse_size,
            "grid": {"rows": list(self.grid.rows), "cols": list(self.grid.cols)},
            "cells": self.grid.cells,
            "classes": list(self.classes),
            "labels": [label.name for label in self.labels],
            "source": self.source.summary,
            "splits": asdict(self.splits),
            "training": asdict(self.training),
            "protocols": [asdict(protocol) for protocol in self.protocols],
            "convergence": asdict(self.convergence),
            "avp": asdict(self.avp),
            "annotation": asdict(self.annotation),
            "reference": dict(self.reference),
            "chosen": dict(self.chosen),
        }
        return plain


TASKS: Registry[Task] = Registry("task", group="nogs_bench.tasks")


def register_task(task: Task) -> Task:
    """Make `task` known by its name to every command and function. Returns it."""
    return TASKS.add(task.name, task)


def renew_task(task: Task) -> Task:
    """As `register_task`, in the place of an earlier task that came this way. Returns it."""
    return TASKS.renew(task.name, task)


def recorded_task(name: object, what: object) -> Task:
    """The registered task called `name`, as `what` says, a file that others may have made.

    Nothing else is looked for: no file is run or opened that only `what` names. Raises `NogsError`
    if there is no such task.
    """
    if name not in TASKS.names():
        raise NogsError(
            f"{what} is about the task {name}, which is not registered: name it (--task "
            "FILE.py:NAME, or its images: --task FOLDER or hf:NAME)"
        )
    return TASKS[str(name)]


def get_task(name: str | PathLike[str] | Task) -> Task:
    """The task called `name`, as a user has it (`recorded_task` for what a file says).

    `name` is a registered name; `FILE.py:NAME`, a task in a file; or a folder of images or
    `"hf:NAME"`, a task whose numbers are chosen by rules. A task of the last two kinds is then
    registered. It replaces an earlier one of the same name that came in this way too. Raises
    `NogsError` if there is no such task.
    """
    if isinstance(name, Task):
        return name
    if not isinstance(name, str | PathLike):
        raise NogsError(f"a task is named by a text or is a nogs_bench.Task, not {name!r}")
    name = fspath(name)
    spec = None if name in TASKS.names() else spec_of(name)
    if spec is not None:
        return renew_task(spec.task(name))
    if ":" in name:
        task = load_object(name, "task")
        if not isinstance(task, Task):
            raise NogsError(f"{name} is a {type(task).__name__}, not a nogs_bench.Task")
        return renew_task(task)
    if name.endswith(".py") and name not in TASKS.names():
        raise NogsError(f"no task {name!r}: of a file, write FILE.py:NAME")
    return TASKS[name]
