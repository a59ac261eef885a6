"""How a task's networks are trained and judged: `Training`, `Pretraining`, `TrainingProtocol`,
`Convergence`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nogs_bench.registry import nothing_after, require_whole
from nogs_bench.tasks.values import COUNT, NUMBER, SHARE, check_name, settle

REDUCTIONS = ("mean", "sum")
CONVERGED_BY = ("cross-entropy", "accuracy")
# What targets may be about -> what a constant answer gets there, at most, where the commonest class
# has that share of the images, of that many classes.
JUDGED_BY: Mapping[str, Callable[[float, int], float]] = {
    "accuracy": lambda commonest, classes: commonest,
    "balanced_accuracy": lambda commonest, classes: 1 / classes,
}


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
        require_whole("embedder", self.embedder)
        name, _, argument = self.embedder.partition(":")
        if name == Training.embedder:
            nothing_after("embedder", name, argument)


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
