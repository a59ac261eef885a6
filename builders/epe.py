"""The expected posterior entropy of a next glimpse (equations 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.posterior import Posterior, prepare
from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Maps log-posteriors (k, n, classes) and the completions' labels (n,) to nats (k, n)."""

CRITERIA: Registry[Criterion] = Registry("criterion", group="nogs_bench.criteria")


@CRITERIA.register("entropy")
def entropy(log_posterior: Tensor, labels: Tensor) -> Tensor:
    """H[g], equation (6): what g claims, whether or not it is right."""
    return torch.special.entr(log_posterior.exp()).sum(-1)


@CRITERIA.register("cross-entropy")
def cross_entropy(log_posterior: Tensor, labels: Tensor) -> Tensor:
    """-log g(label): its expectation bounds the EPE from above (Foster et al. 2019).

    Needs completions that come with their labels. Unlike the entropy, it does not reward a
    location at which g is confident and wrong.
    """
    if (labels < 0).any():
        raise NogsError(
            "the cross-entropy criterion needs completions with labels, and these have none; "
            "use --criterion entropy"
        )
    where = labels.expand(log_posterior.shape[:2])[..., None]
    return -log_posterior.gather(2, where).squeeze(2)


@dataclass(frozen=True)
class EpeEstimator:
    """Equation (6) for one step: nats of every (candidate, completion), averaged by a search.

    All candidates see the same completions (common random numbers).

    - `images`: uint8 (N, channels, image_size, image_size); `labels`: int64 (N,), -1 if unknown.
    - `prefix`: int64 (t - 1,), cells taken so far.
    """

    posterior: Posterior
    criterion: Criterion
    images: Tensor
    labels: Tensor
    prefix: Tensor

    @property
    def samples(self) -> int:
        """N, the number of completions."""
        return len(self.images)

    @torch.inference_mode()
    def values(self, candidates: np.ndarray, start: int, stop: int) -> np.ndarray:
        """float64 (k, stop - start): nats after each candidate cell, for some completions."""
        cells = torch.from_numpy(candidates).to(self.images.device)
        prefix = self.prefix.expand(self.samples, -1)
        prepared = prepare(self.posterior, self.images, prefix)
        rows = torch.arange(start, stop, device=cells.device)
        pairs = zip(rows.repeat(len(cells)).split(512), cells.repeat_interleave(len(rows)).split(512))
        log = torch.cat([prepared.log_posterior(*pair) for pair in pairs])
        log = log.view(len(cells), len(rows), -1)
        return self.criterion(log, self.labels[start:stop]).cpu().numpy().astype(np.float64)
