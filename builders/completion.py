"""Stochastic image completion by retrieval from a bank (appendix A.3.3, algorithm 2).

r_img(I | y_1:t, l_1:t) is the bank's own distribution reweighted by a Gaussian relaxation of the
glimpses' Dirac likelihood: weights proportional to exp(-d^2 / 2 sigma^2), with d^2 the squared
distance between observed and retrieved pixels at the glimpses, pixel values in 0 .. 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nogs_bench.builders.pca import Pca
from nogs_bench.builders.resampling import (
    effective_sample_size,
    normalise,
    sigma_for,
    systematic,
)
from nogs_bench.geometry import GlimpseGrid
from nogs_bench.images import LabelledImages
from nogs_bench.task import Annotation


@dataclass(frozen=True)
class Completions:
    """N equally weighted draws of I given the glimpses.

    - `rows`: int64 (N,), the bank images drawn, in random order.
    - `effective_samples`: effective sample size of the weights that they were drawn with.
    - `sigma`: the relaxation's standard deviation, pixel values in 0 .. 1.
    """

    rows: np.ndarray
    effective_samples: float
    sigma: float


class Query(Protocol):
    """The completions of one image, as glimpses at it come in."""

    def observe(self, cell: int) -> None:
        """Take a glimpse at a cell."""
        ...

    def draw(self, count: int, rng: np.random.Generator) -> Completions:
        """`count` completions given the glimpses observed so far."""
        ...


class Retrieval:
    """Completions from a bank of images.

    With `pca`, a proposal compares reconstructions (all of the bank, cheaply), K1 images drawn
    from it are compared exactly, and the ratio of both likelihoods reweights them. Without, the
    exact distances over the whole bank are the weights.
    """

    def __init__(
        self,
        bank: LabelledImages,
        grid: GlimpseGrid,
        settings: Annotation,
        pca: Pca | None = None,
    ):
        self.bank, self.grid, self.settings, self.pca = bank, grid, settings, pca

    def query(self, image: np.ndarray) -> Query:
        """Start with no glimpses of an image, uint8 (channels, image_size, image_size)."""
        return _ExactQuery(self, image) if self.pca is None else _ProposalQuery(self, image)

    def distances(
        self, image: np.ndarray, cell: int, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """float32: squared distances at one glimpse between an image and bank images."""
        row, col = self.grid.pixels[cell]
        size = self.grid.glimpse_size
        window = (slice(row, row + size), slice(col, col + size))
        theirs = self.bank.images[rows][(..., *window)].astype(np.float32)
        theirs -= image[(..., *window)].astype(np.float32)
        flat = theirs.reshape(len(theirs), -1) / 255
        return np.einsum("np,np->n", flat, flat)

    def sigma(self, t: int, distances: np.ndarray, wanted: float) -> float:
        """The scheduled sigma after t glimpses, or the one with the wanted sample size."""
        schedule = self.settings.sigma
        return schedule[min(t, len(schedule)) - 1] if schedule else sigma_for(distances, wanted)


class _ExactQuery:
    def __init__(self, retrieval: Retrieval, image: np.ndarray):
        self.retrieval, self.image, self.t = retrieval, image, 0
        self.total = np.zeros(len(retrieval.bank), np.float32)

    def observe(self, cell: int) -> None:
        self.total += self.retrieval.distances(self.image, cell)
        self.t += 1

    def draw(self, count: int, rng: np.random.Generator) -> Completions:
        if not self.t:
            return _prior(len(self.total), count, rng)
        wanted = self.retrieval.settings.effective_samples
        sigma = self.retrieval.sigma(self.t, self.total, wanted)
        weights = normalise(self.total / (-2 * sigma**2))
        rows = systematic(weights, count, rng)
        return Completions(rows, effective_sample_size(weights), sigma)


class _ProposalQuery:
    def __init__(self, retrieval: Retrieval, image: np.ndarray):
        assert retrieval.pca is not None
        self.retrieval, self.image = retrieval, image
        self.pca = retrieval.pca
        self.reconstruction = self.pca.reconstruct(image)
        self.total = np.zeros(len(retrieval.bank), np.float32)
        self.cells: list[int] = []

    def observe(self, cell: int) -> None:
        seen = np.flatnonzero(
            np.broadcast_to(self.retrieval.grid.masks[cell], self.image.shape).reshape(-1)
        )
        theirs = self.pca.latents @ self.pca.basis[:, seen]
        theirs += self.pca.mean[seen] - self.reconstruction[seen]
        self.total += np.einsum("np,np->n", theirs, theirs)
        self.cells.append(cell)

    def draw(self, count: int, rng: np.random.Generator) -> Completions:
        if not self.cells:
            return _prior(len(self.total), count, rng)
        settings = self.retrieval.settings
        t = len(self.cells)
        if settings.effective_samples:
            proposal_sigma = sigma_for(self.total, settings.effective_samples)
        else:
            proposal_sigma = self.retrieval.sigma(t, self.total, 0)
        log_proposal = self.total / (-2 * proposal_sigma**2)
        drawn = systematic(normalise(log_proposal), settings.retrieved, rng)
        rows, times = np.unique(drawn, return_counts=True)
        exact = np.sum(
            [self.retrieval.distances(self.image, cell, rows) for cell in self.cells], axis=0
        )
        sigma = settings.sigma[min(t, len(settings.sigma)) - 1] if settings.sigma else proposal_sigma
        log_weights = exact / (-2 * sigma**2) - log_proposal[rows]
        weights = normalise(log_weights + np.log(times))
        chosen = rows[systematic(weights, count, rng)]
        return Completions(chosen, effective_sample_size(weights), sigma)


def _prior(bank: int, count: int, rng: np.random.Generator) -> Completions:
    """Nothing has been seen: distinct bank images as long as there are enough."""
    rows = rng.choice(bank, count, replace=count > bank)
    return Completions(rows, float(min(bank, count)), float("inf"))
