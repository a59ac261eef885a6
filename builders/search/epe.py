"""The expected posterior entropy of a next glimpse (equations 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.completion import Completions
from nogs_bench.builders.search.searches import Ask, Problem
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


class StepEpe:
    """Equation (6) for one step of one image: nats of every (cell, completion), as far as known.

    All candidate cells see the same completions (common random numbers). A bank image that was
    drawn several times is one *distinct* completion, evaluated once; all labels whose sequences
    agree so far share the step.

    **Arguments**

    - `drawn`: N equally weighted completions.
    - `prefix`: int64 (t - 1,), cells taken so far.
    - `targets`: the labels of the family that a next cell is sought for.
    - `cells`: how many cells there are.
    - `observed`: uint8 (channels, image_size, image_size), the annotated image, if the completions
      show its pixels at the prefix and what follows from these is to be computed once.

    `copies`, int64 (distinct,): which bank images the distinct completions were drawn as, twice
    their row and one more if reversed; None where there is no bank.
    """

    def __init__(
        self,
        drawn: Completions,
        prefix: np.ndarray,
        targets: tuple[int, ...],
        cells: int,
        observed: np.ndarray | None = None,
    ):
        self.prefix, self.targets, self.observed = prefix, targets, observed
        self.samples, self.effective_samples = len(drawn.images), drawn.effective_samples
        self.copies: np.ndarray | None = None
        if len(drawn.rows):
            self.copies, first, self._distinct = np.unique(
                2 * drawn.rows + drawn.mirrored, return_index=True, return_inverse=True
            )
        else:
            first = self._distinct = np.arange(self.samples)
        self.images, self.labels = drawn.images[first], drawn.labels[first]
        self._nats = np.full((len(targets), cells, len(first)), np.nan, np.float32)

    def drawn(self, count: int) -> np.ndarray:
        """The first `count` completions as they were drawn, uint8 (count, channels, image_size,
        image_size)."""
        return self.images[self._distinct[:count]]

    def problem(self, shape: tuple[int, int]) -> Problem:
        """What a search is given."""
        prefix = tuple(self.prefix.tolist())
        # Before the first glimpse, completions are draws of the bank itself.
        effective = self.effective_samples if prefix else np.inf
        return Problem(shape, self.samples, prefix, effective)

    def missing(self, asks: list[Ask]) -> tuple[np.ndarray, np.ndarray]:
        """int64 (m,) each: the distinct completions and cells asked for and not known yet."""
        distinct = self._nats.shape[2]
        parts = []
        for ask in asks:
            completions = np.unique(self._distinct[ask.completions])
            unknown = np.isnan(self._nats[0][np.ix_(ask.cells, completions)])
            rows, columns = np.nonzero(unknown)
            parts.append(ask.cells[rows] * distinct + completions[columns])
        pairs = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
        return pairs % distinct, pairs // distinct

    def tell(self, completions: np.ndarray, cells: np.ndarray, nats: np.ndarray) -> None:
        """Make known: float32 (targets, m), nats at these pairs."""
        self._nats[:, cells, completions] = nats

    def answer(self, target: int, ask: Ask) -> np.ndarray:
        """float64 (k, m): what a search for a target asked for."""
        nats = self._nats[self.targets.index(target)]
        return nats[np.ix_(ask.cells, self._distinct[ask.completions])].astype(np.float64)
