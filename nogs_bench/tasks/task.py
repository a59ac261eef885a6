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

REDUCTIONS = ("mean", "sum")
CONVERGED_BY = ("cross-entropy", "accuracy")
JUDGED_BY = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Training:
    """Hyperparameters of the hard-attention network and its training (section 6, appendix B.4).

    - `batch_size`: images in a batch.
    - `learning_rate`: of Adam.
    - `embedder`: the network that reads a glimpse: a name in `nogs_bench.network.EMBEDDERS`, or
      `timm:NAME`.
    - `hidden`: units of the GRU.
    - `location_hidden`: units of the location network's hidden layer.
    - `supervised`: how many training images supervise (600 for CelebA-HQ, 1,000 for CUB).
    - `supervision_weight`: factor of the supervised term, -log q(location) at a sequence's
      glimpses.
    - `supervision_reduction`: `"mean"` divides the supervised term by the batch size, like every
      other term of the loss. `"sum"` does not, like the authors' code: a supervised image then
      weighs `batch_size` times as much.
    - `supervised_share`: share of each batch, 0 .. 1, that is drawn from the supervised images
      alone. Section 5 mixes both kinds and does not say how. 0 takes all images as they come, like
      the authors' code.
    - `location_gradient`: whether the location network's gradient reaches the GRU and the embedder.
      In the authors' code it does not.
    - `evaluation_period`: iterations between two validations.
    - `rollouts`: M, how many times each test image is seen, with other draws of places each time.
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
        ranges |= numbers | {"supervised_share": SHARE}
        settle(self, "training", ranges, {"supervision_reduction": REDUCTIONS})


@dataclass(frozen=True)
class Pretraining:
    """Training of embedder, GRU and classifier on glimpses that no policy chose (appendix B.2).

    - `iterations`: how long it is.
    - `learning_rate`: of Adam.
    - `evaluation_period`: iterations between two validations. The weights of the best are kept.
    - `glimpses`: where the glimpses lie, for methods that do not say so themselves: `"uniform"`,
      as for RAM, or `"heuristic"` (equation 17); a name in `nogs_bench.training.GLIMPSES`.
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
    """What is trained, for how long, and for which target.

    - `name`: such as `"scratch"` or `"pretrained"`.
    - `iterations`: length of a run.
    - `target_accuracy`: the validation accuracy, 0 .. 1, that a run should reach. The time to
      target is the iteration at which it first does.
    - `pretraining`: the stage before the run (appendix B.2). Afterwards all but the location
      network and the baseline is frozen. None: everything is trained at once.
    - `training`: hyperparameters. None: the task's.
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

    def __post_init__(self) -> None:
        tolerances = dict.fromkeys(("cross_entropy_tolerance", "accuracy_tolerance"), NUMBER)
        settle(self, "convergence", tolerances, {"criterion": CONVERGED_BY})


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
        settle(self, f"task {self.name}", {"version": COUNT}, {"judged_by": JUDGED_BY})
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


def get_task(name: str | Task) -> Task:
    """The task called `name`.

    `name` is a registered name; `FILE.py:NAME`, a task in a file; or a folder of images or
    `"hf:NAME"`, a task whose numbers are chosen by rules. A task of the last two kinds is then
    registered. It replaces an earlier one of the same name that came in this way too. Raises
    `NogsError` if there is no such task.
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
