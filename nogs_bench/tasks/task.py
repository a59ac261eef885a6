"""`Task`: everything that is fixed about a benchmark task, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nogs_bench.errors import NogsError
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
from nogs_bench.tasks.values import COUNT, NUMBER, SHARE, check_name, settle


@dataclass(frozen=True)
class Training:
    """Hyperparameters of the hard-attention network and its training (section 6, appendix B.4).

    - `embedder`: name of a glimpse embedder in `nogs_bench.network.EMBEDDERS`, or `timm:NAME`.
    - `hidden`, `location_hidden`: units of the GRU and of the location network's hidden layer.
    - `supervised`: how many training images supervise (600 for CelebA-HQ, 1,000 for CUB).
    - `supervision_weight`: factor of the location log-likelihood of supervised rows.
    - `supervision_reduction`: `"mean"` divides it by the batch size, as every other term of the
      loss is; `"sum"` does not, as the authors' code: a supervised row then weighs `batch_size`
      times as much.
    - `supervised_share`: part of each batch drawn from the supervised images alone (section 5 mixes
      both kinds and does not say how); 0 takes all images as they come, as the authors' code.
    - `location_gradient`: whether the location network's gradient reaches the RNN and the
      embedder (the paper's networks see a detached state).
    - `evaluation_period`: iterations between points of the validation curve.
    - `rollouts`: M, rollouts per test image beside the single one.
    """

    batch_size: int = 64
    learning_rate: float = 3e-4
    embedder: str = "conv"
    hidden: int = 64
    location_hidden: int = 32
    supervised: int = 600
    supervision_weight: float = 1.0
    supervision_reduction: str = "sum"
    supervised_share: float = 0.0
    location_gradient: bool = False
    evaluation_period: int = 100
    rollouts: int = 5

    def __post_init__(self) -> None:
        counts = ("batch_size", "hidden", "location_hidden", "evaluation_period", "rollouts")
        ranges = {name: COUNT for name in counts}
        numbers = dict.fromkeys(("learning_rate", "supervision_weight", "supervised"), NUMBER)
        settle(self, "training", ranges | numbers | {"supervised_share": SHARE})


@dataclass(frozen=True)
class Pretraining:
    """Appendix B.2: embedder, RNN and classifier, trained on glimpses that no policy chose.

    `glimpses`: name in `nogs_bench.training.GLIMPSES`, where they are, for methods that do not say
    so themselves: `"uniform"`, from which RAM starts too, or `"heuristic"` (equation 17).
    """

    iterations: int
    learning_rate: float
    evaluation_period: int = 500
    glimpses: str = "uniform"

    def __post_init__(self) -> None:
        counts = {"iterations": COUNT, "evaluation_period": COUNT}
        settle(self, "pre-training", counts | {"learning_rate": NUMBER})


@dataclass(frozen=True)
class TrainingProtocol:
    """One way of training that the task is scored under.

    - `name`: `"scratch"` (everything at once) or `"pretrained"` (appendix B.2: pre-train, freeze,
      then train location network and baseline alone).
    - `iterations`: length of a run.
    - `target_accuracy`: validation accuracy whose first passing is the time to target.
    - `training`: hyperparameters, where they are not the task's.
    """

    name: str
    iterations: int
    target_accuracy: float
    pretraining: Pretraining | None = None
    training: Training | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "the protocol's name")
        ranges = {"iterations": COUNT, "target_accuracy": SHARE}
        settle(self, f"protocol {self.name}", ranges)


@dataclass(frozen=True)
class Convergence:
    """The paper's own criteria of convergence, both relative to the run's best.

    First validation cross-entropy within `cross_entropy_tolerance` nats of the least (figure 5),
    and first validation accuracy within `accuracy_tolerance` of the highest (Table 1, CUB).
    `criterion` is the one that the task's headline uses: `"cross-entropy"` or `"accuracy"`.
    """

    criterion: str = "cross-entropy"
    cross_entropy_tolerance: float = 0.01
    accuracy_tolerance: float = 0.01


JUDGED_BY = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Task:
    """A benchmark task: geometry, splits, hyperparameters, criteria, reference figures, origin.

    Frozen and registered once under its name; loaders, builders, trainer, command line, cards and
    tests read it here and nowhere else. `version` counts up when anything in it changes that makes
    results incomparable.

    **Arguments**

    - `labels`: the labels that images of this family carry, in the source's column order. All
      tasks of a family share images, bank and AVP, which has a head for each label.
    - `target`: which of `labels` this task is about.
    - `T`: glimpses per image.
    - `grid`: allowed locations.
    - `protocols`: the first is the default.
    - `reference`: published figures, `{method: {quantity: value}}`, with their `"source"`.
    - `images_licence`, `images_may_ship`: whether images may go into a published dataset.
    - `source_datasets`: where the images come from, as the Hub's cards say it: `"original"`, or
      `"extended|NAME"`, with `other-` before a name that is not on the Hub.
    - `caveats`: limits and biases of images and labels, a sentence each, for the card.
    - `judged_by`: what the protocols' `target_accuracy` is about, `"accuracy"` or
      `"balanced_accuracy"`, the mean of the classes' own accuracies.
    - `stops_blind`: whether a build ends before its search where the AVP tells no more than the
      commonest answer.
    - `chosen`: what was set by hand where rules chose the rest (`task_of`): with the images, this
      makes the same task again.
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
    convergence: Convergence = Convergence()
    source_datasets: tuple[str, ...] = ("original",)
    caveats: tuple[str, ...] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    judged_by: str = "accuracy"
    stops_blind: bool = False
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "the task's name")
        check_name(self.family, "the family's name")
        settle(self, f"task {self.name}", {"version": COUNT})
        if self.judged_by not in JUDGED_BY:
            raise NogsError(
                f"task {self.name}: judged_by must be {' or '.join(JUDGED_BY)}, not "
                f"{self.judged_by!r}"
            )
        if not 0 <= self.target < len(self.labels):
            raise NogsError(f"task {self.name}: target {self.target} is not one of its labels")
        if self.T < 1 or self.channels < 1 or not self.protocols:
            raise NogsError(f"task {self.name}: T, channels and protocols must not be empty")

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

    def protocol(self, name: str | None = None) -> TrainingProtocol:
        """The protocol called `name` (default: the task's first)."""
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


def get_task(name: str | Task) -> Task:
    """The registered task `name`, or the one that it stands for, which is then registered.

    `FILE.py:NAME` stands for a task in a file; a folder of images, and what else is in `SPECS`, for
    one whose numbers are chosen by rules. Such a task takes the place of an earlier one of its name
    that was named in this way too.
    """
    if isinstance(name, Task):
        return name
    spec = None if name in TASKS.names() else spec_of(name)
    if spec is not None:
        return renew_task(spec.task(name))
    if ":" in name:
        task = load_object(name, "task")
        if not isinstance(task, Task):
            raise NogsError(f"{name} is a {type(task).__name__}, not a nogs_bench.Task")
        return renew_task(task)
    return TASKS[name]
