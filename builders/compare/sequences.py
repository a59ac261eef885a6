"""The sequences that a posterior chooses, judged by another one."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.completion import Completion, fit_completion
from nogs_bench.builders.posterior import Posterior, along_each
from nogs_bench.builders.search import SHARD, Annotator
from nogs_bench.tasks import Task


class Judge:
    """Annotates the first images of a build with posteriors, and says what one thinks of it.

    **Arguments**

    - `task`: with the settings to annotate with.
    - `posterior`: the judge.
    - `images`: how many are annotated, all of which `roles` must set apart.
    """

    def __init__(
        self, task: Task, roles: Roles, posterior: Posterior, images: int, seed: int, device: str
    ):
        self.task, self.posterior, self.seed, self.device = task, posterior, seed, device
        self.shown = roles.annotated[slice(images)]
        self.completion: Completion = fit_completion(
            task.annotation.completion, task, roles.bank, seed, device
        )

    def judged(self, posterior: Posterior) -> dict[str, Tensor]:
        """float32 (images, T), of the sequences that `posterior` chooses, as `along_each` has them
        of the judge: `entropy` and `cross_entropy` in nats, `accuracy`."""
        annotator = Annotator(self.task, posterior, self.completion, self.seed, self.device)
        images, first = self.shown.images, annotator.first_step()
        parts = [
            annotator.annotate(images[list(part)], part, first)
            for part in (range(len(images))[s : s + SHARD] for s in range(0, len(images), SHARD))
        ]
        cells = np.concatenate([part.cells[:, 0] for part in parts])
        labels = self.shown.labels[:, self.task.target]
        return along_each(self.posterior, images, labels, cells, self.device)
