"""The outcome of a build's folds, each annotated apart, put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.dataset import Annotations, Networks, beliefs_along, sharded_maps
from nogs_bench.builders.pipeline.stages import Stages
from nogs_bench.builders.posterior import (
    along_each,
    calibration,
    calibration_record,
    fixed_cells,
)
from nogs_bench.builders.search import (
    FIELDS,
    WAYS,
    Chosen,
    Shard,
    corrections,
    gathered,
    holds,
    regrets,
    standard_error,
)
from nogs_bench.calibration import Reliability, pooled
from nogs_bench.device import is_determined
from nogs_bench.results import environment
from nogs_bench.tasks import Task

# Of the posteriors that the sequences took, what measuring their regrets may take.
REGRET_SHARE = 0.05

Quality = dict[str, dict[str, list[float]]]
Along = dict[str, dict[str, np.ndarray]]
"""By sequences ("built", "random") and quantity: float (n, T), of each image."""


@dataclass(frozen=True)
class FoldOutcome:
    """What one fold gave: its stages, and for each task how good the posterior is.

    - `along`: for each task, how good the posterior is along sequences.
      The built ones' `searched` is the EPE that the search found, `stated` that EPE corrected.
    - `regrets`: for each task float64 (m, T), `builders.search.regrets` of some of the images.
    - `factors`: for each task float64 (T,), of that correction (`builders.search.corrections`).
    - `beliefs`: for each task float16 (n, T, classes), what the posterior believes along them.
    - `arrays`: the fields of `builders.search.annotate.Sequences` but the maps, of the images
      `roles.numbers`; the maps stay in `shards`.
    """

    stages: Stages
    roles: Roles
    shards: list[Shard]
    arrays: dict[str, np.ndarray]
    along: list[Along]
    factors: list[np.ndarray]
    regrets: list[np.ndarray]
    curves: list[list[Reliability]]
    beliefs: list[np.ndarray]


def finish_fold(stages: Stages, roles: Roles, shards: list[Shard]) -> FoldOutcome:
    """Gather what was annotated, and measure the posterior."""
    plan = stages.plan
    arrays = gathered(shards, [name for name in FIELDS if name != "maps"])
    annotator = stages.annotator(keeping=True)
    each, factors, regret, curves, beliefs = [], [], [], [], []
    for place, task in enumerate(plan.tasks):
        measured = _along(task, stages, roles, arrays["cells"][:, place])
        built, searched = measured["built"], arrays["epe"][:, place]
        factors.append(corrections(searched, built["cross_entropy"]))
        built |= {"searched": searched, "stated": searched * factors[-1]}
        each.append(measured)
        curves.append(_curves(task, stages, roles))
        cells = arrays["cells"][:, place]
        chosen = Chosen(roles.annotated.images, roles.numbers, cells)
        most = REGRET_SHARE * arrays["evaluations"].sum() / len(plan.tasks)
        regret.append(regrets(annotator, task.target, chosen, most))
        posterior = stages.posterior(task)
        beliefs.append(beliefs_along(posterior, roles.annotated.images, cells, plan.device))
    return FoldOutcome(stages, roles, shards, arrays, each, factors, regret, curves, beliefs)


def _along(task: Task, stages: Stages, roles: Roles, cells: np.ndarray) -> Along:
    """The posterior along the built sequences, and along random ones, of the annotated images."""
    plan, images = stages.plan, roles.annotated
    size = plan.count, task.T
    random = np.random.default_rng([plan.seed, 2]).integers(task.grid.cells, size=size)
    posterior, labels = stages.posterior(task), images.labels[:, task.target]
    measured = {
        name: along_each(posterior, images.images, labels, taken, plan.device)
        for name, taken in (("built", cells), ("random", random[roles.numbers]))
    }
    return {
        name: {quantity: values.numpy() for quantity, values in quantities.items()}
        for name, quantities in measured.items()
    }


def _curves(task: Task, stages: Stages, roles: Roles) -> list[Reliability]:
    """How far the posterior is as often right as it says, on the annotated images."""
    plan, images = stages.plan, roles.annotated
    cells = fixed_cells(task.grid, plan.count, task.T)[roles.numbers]
    labels = images.labels[:, task.target]
    return calibration(stages.posterior(task), images.images, labels, cells, plan.device)


@dataclass(frozen=True)
class Outcome:
    """All folds of a build, in their order."""

    folds: Sequence[FoldOutcome]

    @property
    def weights(self) -> np.ndarray:
        """Each fold's share of the images."""
        sizes = np.array([len(fold.roles.numbers) for fold in self.folds], np.float64)
        return sizes / sizes.sum()

    def annotations(self, task: Task, place: int) -> Annotations:
        """The sequences of one task, the build's `place`-th."""
        cells = np.concatenate([fold.arrays["cells"][:, place] for fold in self.folds])
        stated = np.concatenate([fold.along[place]["built"]["stated"] for fold in self.folds])
        shards = [shard for fold in self.folds for shard in fold.shards]
        return Annotations(
            index=np.concatenate([fold.roles.numbers for fold in self.folds]),
            glimpses=task.grid.index_to_pixel(cells),
            epe=stated.astype(np.float32),
            maps=sharded_maps(shards, place, (task.T, *task.grid.shape)),
            images=np.concatenate([fold.roles.annotated.images for fold in self.folds]),
            beliefs=np.concatenate([fold.beliefs[place] for fold in self.folds]),
        )

    def networks(self) -> Networks | None:
        """The folds' posteriors, where they are networks."""
        each = [fold.stages.network() for fold in self.folds]
        held = [weights for weights in each if weights is not None]
        return Networks(held) if len(held) == len(each) else None

    def provenance(self, place: int, device: str) -> dict[str, Any]:
        """What made one task's sequences; of each fold, where there are several."""
        parts = [
            {
                "roles": fold.roles.record,
                "stages": fold.stages.records,
                "epe_factors": fold.factors[place].round(6).tolist(),
            }
            for fold in self.folds
        ]
        return {
            **(parts[0] if len(parts) == 1 else {"folds": parts}),
            "environment": {
                "torch": torch.__version__,
                "device": device,
                **({"deterministic": True} if is_determined() else {}),
                "cpu": torch.backends.cpu.get_cpu_capability(),
                "hardware": environment(torch.device(device)).hardware,
            },
            "evaluations": sum(int(f.arrays["evaluations"].sum()) for f in self.folds),
            "effective_samples": self._mean(
                lambda fold: fold.arrays["effective_samples"][:, place].mean(0)
            )
            .round(1)
            .tolist(),
        }

    def quality(self, place: int) -> Quality:
        """Means over all images, and those of built minus random sequences: paired differences of
        the true cross-entropy, with their standard error.

        What was `stated` stands there as a `score` where it is none of the true cross-entropy:
        where it is off by more than .05 nats at any t, and with pasted pixels always.
        """
        parts = [fold.along[place] for fold in self.folds]
        whole = {
            name: {key: np.concatenate([part[name][key] for part in parts]) for key in quantities}
            for name, quantities in parts[0].items()
        }
        built = whole["built"]
        pasted = WAYS[self.folds[0].stages.plan.task.annotation.observed].pasted
        if pasted or not holds(built["stated"], built["cross_entropy"]):
            built["score"] = built.pop("stated")
        difference = built["cross_entropy"] - whole["random"]["cross_entropy"]
        error = standard_error(difference)
        means = {
            name: {key: values.mean(0).tolist() for key, values in quantities.items()}
            for name, quantities in whole.items()
        }
        regret = np.concatenate([fold.regrets[place] for fold in self.folds])
        if len(regret) > 1:
            means[f"{len(regret)} of built"] = {
                "regret": regret.mean(0).tolist(),
                "standard_error": standard_error(regret).tolist(),
            }
        gain = {"cross_entropy": difference.mean(0).tolist(), "standard_error": error.tolist()}
        return {**means, "built - random": gain}

    def calibration(self, place: int) -> dict[str, Any]:
        by_t = zip(*(fold.curves[place] for fold in self.folds), strict=True)
        return calibration_record([pooled(curves) for curves in by_t])

    def _mean(self, value: Callable[[FoldOutcome], np.ndarray]) -> np.ndarray:
        """A fold's value, averaged over all images."""
        if len(self.folds) == 1:
            return value(self.folds[0])
        parts = [value(fold) for fold in self.folds]
        mean: np.ndarray = np.tensordot(self.weights, np.stack(parts), axes=1)
        return mean
