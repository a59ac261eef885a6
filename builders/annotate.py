"""Near-optimal glimpse sequences: algorithm 1, repeated for t = 1 .. T."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.completion import Completion, Completions
from nogs_bench.builders.epe import CRITERIA, EpeEstimator
from nogs_bench.builders.posterior import Posterior
from nogs_bench.builders.search import SEARCHES, Found
from nogs_bench.task import Task


@dataclass(frozen=True)
class Sequence:
    """The near-optimal glimpse sequence of one image.

    - `cells`: int64 (T,), grid indices.
    - `epe`: float64 (T,), nats, the estimate at each chosen cell when it was chosen.
    - `maps`: float64 (T, cells), nats, the estimates at all cells.
    - `effective_samples`: float64 (T,), of the completions' weights.
    - `evaluations`: posteriors computed.
    """

    cells: np.ndarray
    epe: np.ndarray
    maps: np.ndarray
    effective_samples: np.ndarray
    evaluations: int


@dataclass
class Annotator:
    """Chooses glimpses for images of one task, greedily by EPE.

    Which completions an image gets depends on (seed, its number, t) alone.

    **Arguments**

    - `observed`: see `Annotation.observed`; `"pasted"` shows the posterior the image's own pixels
      at the glimpses already taken, `"sample"` those of the completion, as equation (6) has it.
    - `device`: where the posterior computes.
    """

    task: Task
    posterior: Posterior
    completion: Completion
    seed: int
    device: str = "cpu"

    def first_step(self) -> Found:
        """The first glimpse: nothing has been seen, so it is the same for every image.

        Searched exhaustively: its map is also the saliency of equation (17).
        """
        rng = np.random.default_rng([self.seed, 0])
        drawn = self.completion.prior(self._first_samples, rng)
        estimator = self._estimator(torch.from_numpy(drawn.images).to(self.device), drawn, [])
        return SEARCHES["exhaustive"](estimator, self.task.grid.cells)

    def annotate(self, image: np.ndarray, number: int, first: Found) -> Sequence:
        """The sequence of an image, uint8 (channels, image_size, image_size).

        `number` is its index in the training split; `first` the outcome of `first_step`.
        """
        task, settings = self.task, self.task.annotation
        query = self.completion.query(image)
        observed = torch.from_numpy(image).to(self.device)
        found, sizes = [first], [float(self._first_samples)]
        for t in range(2, task.T + 1):
            query.observe(found[-1].cell)
            rng = np.random.default_rng([self.seed, 1, number, t])
            drawn = query.draw(settings.samples, rng)
            sizes.append(drawn.effective_samples)
            prefix = [step.cell for step in found]
            completions = torch.from_numpy(drawn.images).to(self.device)
            if settings.observed == "pasted":
                seen = torch.from_numpy(task.grid.masks[prefix].any(0)).to(self.device)
                completions = torch.where(seen, observed, completions)
            estimator = self._estimator(completions, drawn, prefix)
            found.append(SEARCHES[settings.search](estimator, task.grid.cells))
        return Sequence(
            cells=np.array([step.cell for step in found]),
            epe=np.array([step.epe[step.cell] for step in found]),
            maps=np.stack([step.epe for step in found]),
            effective_samples=np.array(sizes),
            evaluations=sum(step.evaluations for step in found[1:]),
        )

    @property
    def _first_samples(self) -> int:
        return int(min(self.task.annotation.first_samples, self.completion.support))

    def _estimator(self, images: Tensor, drawn: Completions, prefix: list[int]) -> EpeEstimator:
        return EpeEstimator(
            posterior=self.posterior,
            criterion=CRITERIA[self.task.annotation.criterion],
            images=images,
            labels=torch.from_numpy(drawn.labels[:, self.task.target]).to(self.device),
            prefix=torch.tensor(prefix, dtype=torch.int64, device=self.device),
        )
