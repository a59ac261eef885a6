"""`Task`: everything that is fixed about a benchmark task, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.geometry import GlimpseGrid
from nogs_bench.images import ImageSource
from nogs_bench.registry import Registry, load_object


@dataclass(frozen=True)
class Label:
    """One thing to be told from an image: its name and the names of its classes."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """How many images each split has (section 6).

    `avp_validation` early-stops the AVP; it belongs to none of the other three, unless the task's
    page says otherwise (the paper's tasks have no images to spare: theirs is `validation` again).
    """

    train: int
    validation: int
    test: int
    avp_validation: int


@dataclass(frozen=True)
class Training:
    """Hyperparameters of the hard-attention network and its training (section 6, appendix B.4).

    - `embedder`: name of a glimpse embedder in `nogs_bench.model.EMBEDDERS`, or `timm:NAME`.
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


@dataclass(frozen=True)
class Pretraining:
    """Appendix B.2: embedder, RNN and classifier, trained on glimpses that no policy chose.

    `glimpses`: name in `nogs_bench.pretrain.GLIMPSES`, where they are, for methods that do not say
    so themselves: `"uniform"`, from which RAM starts too, or `"heuristic"` (equation 17).
    """

    iterations: int
    learning_rate: float
    evaluation_period: int = 500
    glimpses: str = "uniform"


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


@dataclass(frozen=True)
class AvpTraining:
    """How the attentional variational posterior is trained (section 4, appendix B.1).

    - `network`: name in `nogs_bench.builders.avp_networks.AVP_NETWORKS` (`timm:NAME`), which see
      the masked image, or in `nogs_bench.builders.glimpse_networks.GLIMPSE_NETWORKS`
      (`tokens:NAME`), which see the glimpses.
    - `images`: distinct training images; a task with a sampler composes them afresh each epoch.
    - `warmup`: share of the epochs, from the first on, that show up to 3T glimpses instead of T
      (not in the paper). What the whole looks like is learned sooner than what a part means.
    - `teacher`: a network, named like `network`, that is trained first in the same way; what it
      says of each training image, seen at the same cells, is learned beside the label. Empty: none.
    - `distillation`: the teacher's share of the loss, 0 .. 1; the label has the rest.
    - `rounds`: how often the AVP is trained again, with sequences that it has itself chosen among
      the random ones (not in the paper): it is asked about chosen glimpses.
    - `chosen_images`: how many of its training images it chooses sequences for in each round.
    - `chosen_share`: share of each later batch that sees such sequences, 0 .. 1. Few images seen
      often at the same cells are learned by heart: a share no larger than `chosen_images` are of
      all training images shows them no more often than the others.
    """

    network: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-4
    images: int = 0
    warmup: float = 0.0
    teacher: str = ""
    distillation: float = 0.5
    rounds: int = 0
    chosen_images: int = 1500
    chosen_share: float = 0.05

    def __post_init__(self) -> None:
        for name in ("warmup", "distillation", "chosen_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise NogsError(f"AVP training: {name} must lie in 0..1")
        if self.rounds < 0 or self.chosen_images < 1:
            raise NogsError("AVP training: rounds must be at least 0, chosen_images at least 1")


@dataclass(frozen=True)
class Annotation:
    """How glimpse sequences are built (section 4, appendices A.3 and B.5).

    - `images`: how many training images are annotated, from index 0 on.
    - `reserved`: how many training images, from index 0 on, are kept out of the AVP's training
      set and the bank; at least the annotated ones always are.
    - `bank_images`: size of the bank of images that completions are retrieved from.
    - `criterion`: `"entropy"` (equation 6) or `"cross-entropy"` (needs a labelled bank).
    - `search`: how the grid is searched, in `nogs_bench.builders.search.SEARCHES`.
    - `samples`: N, completions behind an EPE estimate after the first step; `first_samples`: at
      the first step, which all images share.
    - `completion`: what completes images, in `nogs_bench.builders.completion.COMPLETIONS`. The
      settings from here to `proposal_shifts`, but for `observed`, are of `"retrieval"`.
    - `components`: latent dimensions of the PCA proposal; 0 compares pixels over the whole bank.
    - `retrieved`: K1, images drawn from the proposal and reweighted exactly.
    - `sigma`: standard deviation of the Gaussian relaxation for t = 2 .. T, in units of pixel
      values 0 .. 1; empty: set by bisection so that the effective sample size is
      `effective_samples`. With both, `sigma` is the exact likelihood's and the proposal's is set
      by bisection (appendix A.3.3, CUB).
    - `mirrored`: whether each bank image is compared left to right reversed too (A.3.3).
    - `shifts`, `proposal_shifts`: pixels by which a bank image is moved, down and across alike,
      the likelihoods of all moves being summed (A.3.3), exactly and in the proposal.
    - `observed`: `"sample"` shows the AVP the completion's own pixels at earlier glimpses, as
      equation 6 says; `"pasted"` the image's.
    """

    images: int
    bank_images: int
    criterion: str = "entropy"
    search: str = "halving"
    samples: int = 200
    first_samples: int = 1000
    completion: str = "retrieval"
    components: int = 256
    retrieved: int = 1000
    sigma: tuple[float, ...] = ()
    effective_samples: float = 0.0
    observed: str = "sample"
    reserved: int = 0
    mirrored: bool = False
    shifts: tuple[int, ...] = (0,)
    proposal_shifts: tuple[int, ...] = (0,)


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

    def __post_init__(self) -> None:
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
        known = ", ".join(protocol.name for protocol in self.protocols)
        raise NogsError(f"task {self.name} has no protocol {name!r}: it has {known}")

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
        }
        return plain


TASKS: Registry[Task] = Registry("task", group="nogs_bench.tasks")


def register_task(task: Task) -> Task:
    """Make `task` known by its name to every command and function. Returns it."""
    return TASKS.add(task.name, task)


def get_task(name: str | Task) -> Task:
    """The registered task `name`, or the one that `FILE.py:NAME` defines (and registers it)."""
    import nogs_bench.tasks  # noqa: F401  (fills the registry)

    if isinstance(name, Task):
        return name
    if ":" in name:
        task = load_object(name, "task")
        if not isinstance(task, Task):
            raise NogsError(f"{name} is a {type(task).__name__}, not a nogs_bench.Task")
        return register_task(task)
    return TASKS[name]


def override(part: Any, **changes: Any) -> Any:
    """`part` of a task with the given fields replaced; None means unchanged."""
    return replace(part, **{name: value for name, value in changes.items() if value is not None})
