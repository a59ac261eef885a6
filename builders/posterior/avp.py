"""The attentional variational posterior (section 4, figure 3, appendix B.1).

One network maps any set of glimpses to an approximation of p(label | glimpses): as the paper's, it
sees the image with unobserved pixels zeroed, and the mask of observed pixels as a further channel,
or else the glimpses alone (`glimpse_networks`). `training` trains it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nogs_bench.builders.posterior.glimpse_networks import (
    PreparedLogits,
    make_glimpse_network,
)
from nogs_bench.tasks import Task


class Avp(nn.Module):
    """g(label | y_1:t, l_1:t); implements `Posterior` for the task's target.

    One head for each label of the task's family, linear maps from the same last hidden layer.
    With `weights` the network starts from those that the task names, if any.
    """

    def __init__(self, task: Task, weights: bool = False):
        super().__init__()
        self.classes = [len(label.classes) for label in task.labels]
        self.target = task.target
        self.network = make_glimpse_network(
            task.avp.network, task.grid, task.channels, sum(self.classes), weights
        )

    def forward(self, images: Tensor, cells: Tensor, t: Tensor | None = None) -> list[Tensor]:
        """Logits (n, classes) of every label of the family.

        `images`: uint8 (n, channels, image_size, image_size); `cells`: int64 (n, T); `t`: int64
        (n,), how many of an image's cells count (default: all).
        """
        return list(self.network(images, cells, t).split(self.classes, dim=1))

    @torch.inference_mode()
    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """See `Posterior.log_posterior`."""
        return self(images, cells)[self.target].log_softmax(dim=1)

    @torch.inference_mode()
    def log_posteriors(self, images: Tensor, cells: Tensor) -> list[Tensor]:
        """The same for every label of the family, from one pass."""
        return [logits.log_softmax(dim=1) for logits in self(images, cells)]

    @torch.inference_mode()
    def prepare(
        self, images: Tensor, prefix: Tensor, observed: Tensor | None = None
    ) -> PreparedAvp:
        """Completions whose candidates are to be asked about, what they share computed once.

        `images`: uint8 (n, channels, image_size, image_size); `prefix`: int64 (n, t - 1), the cells
        taken so far; `observed`: see `posterior.prepare`.
        """
        return PreparedAvp(self, self.network.prepare(images, prefix, observed))

    def freeze(self) -> Avp:
        """Only predictions from now on, and those quicker: equal up to rounding. Returns self."""
        self.eval().requires_grad_(False)
        self.network.freeze()
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device


class PreparedAvp:
    """A step's completions: `Prepared`, for the target and for all labels of the family."""

    def __init__(self, avp: Avp, prepared: PreparedLogits):
        self.avp, self.prepared = avp, prepared
        self.pairs_at_once = prepared.pairs_at_once

    @torch.inference_mode()
    def log_posterior(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, classes), nats: of completion `rows[i]`, int64, after its prefix and one more
        glimpse at `cells[i]`, int64."""
        logits = self.prepared.logits(rows, cells).split(self.avp.classes, dim=1)
        return _log_softmax(logits[self.avp.target])

    @torch.inference_mode()
    def log_posteriors(self, rows: Tensor, cells: Tensor) -> list[Tensor]:
        """The same for each label of the family, of one pass."""
        # Class by class, once for all labels: of forty, a quarter of the time.
        logits = self.prepared.logits(rows, cells).t().contiguous()
        return [_log_softmax(part.t()) for part in logits.split(self.avp.classes)]


def _log_softmax(logits: Tensor) -> Tensor:
    """Of the rows of (m, classes). Where these lie class by class, that is much quicker."""
    if logits.t().is_contiguous():
        return logits.t().log_softmax(dim=0).t()
    return logits.log_softmax(dim=1)
