"""Completion by retrieval from a bank of images (appendix A.3.3, algorithm 2).

r_img(I | y_1:t, l_1:t) is the bank's own distribution reweighted by a Gaussian relaxation of the
glimpses' Dirac likelihood: weights proportional to exp(-d^2 / 2 sigma^2), with d^2 the squared
distance between observed and retrieved pixels at the glimpses, pixel values in 0 .. 1. With
`Annotation.mirrored` the bank counts twice, the second time left to right reversed; with
`Annotation.shifts` each glimpse's likelihood is summed over small moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.completion.evidence import Evidence, FreeEvidence, ScheduledEvidence
from nogs_bench.builders.completion.kinds import (
    COMPLETIONS,
    Belief,
    Completions,
    Fitting,
    Query,
)
from nogs_bench.builders.completion.matching import ROWS_AT_ONCE, Region, pixel_distances, region
from nogs_bench.builders.completion.pca import Pca, fit_pca
from nogs_bench.builders.completion.proposal import Proposal
from nogs_bench.builders.completion.resampling import (
    effective_sample_size,
    least_sigma_where,
    normalise,
    sigma_where,
    systematic,
)
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import Annotation, GlimpseGrid, Task

REGIONS_KEPT = 2**27  # bytes


class Retrieval:
    """Completions from a bank of images; implements `Completion`.

    With `pca`, a proposal compares reconstructions (all of the bank, cheaply), K1 images drawn
    from it are compared exactly, and the ratio of both likelihoods reweights them. Without, the
    exact distances over the whole bank are the weights. A *copy* is a bank image as it is (copy i
    is row i) or, with `settings.mirrored`, reversed (copy `len(bank) + i`).

    Each completion is a copy (`draws_copies`).
    Of the bank's images only the rows asked for are read, so a memory map will do.
    Raises `NogsError` if the settings name no sigma, or shifts that leave out 0.
    """

    draws_copies = True

    def __init__(
        self,
        bank: LabelledImages,
        grid: GlimpseGrid,
        settings: Annotation,
        pca: Pca | None = None,
        device: torch.device | str = "cpu",
    ):
        if not settings.sigma and not settings.effective_samples:
            raise NogsError("annotation: give sigma, or effective_samples to find it, or both")
        for name in ("shifts", "proposal_shifts"):
            if 0 not in getattr(settings, name):
                raise NogsError(f"annotation: {name} must hold 0, the glimpse's own place")
        self.bank, self.grid, self.settings, self.pca = bank, grid, settings, pca
        self.device = torch.device(device)
        self.reversals = (False, True) if settings.mirrored else (False,)
        self.proposal = (
            None
            if pca is None
            else Proposal(pca, grid, settings.proposal_shifts, self.reversals, device)
        )

        # Small banks: what was read of all images at a cell is read again for the next image.
        moves = max(settings.shifts) - min(settings.shifts)
        pixels = len(bank) * bank.images.shape[1] * (grid.glimpse_size + moves) ** 2
        self._regions = (
            lru_cache(REGIONS_KEPT // pixels)(lambda where: where.of(bank.images).copy())
            if pca is None and pixels <= REGIONS_KEPT
            else None
        )

    @property
    def support(self) -> float:
        return float(self.copies)

    @property
    def copies(self) -> int:
        """How many images there are to draw: the bank's, twice if also mirrored."""
        return len(self.bank) * len(self.reversals)

    def prior(self, count: int, rng: np.random.Generator) -> Completions:
        copies = rng.choice(self.copies, count, replace=count > self.copies)
        return self.completions(copies, float(min(self.copies, count)), float("inf"))

    def query(self, image: np.ndarray) -> Query:
        return _ExactQuery(self, image) if self.pca is None else _ProposalQuery(self, image)

    def observe(
        self, image: np.ndarray, cell: int, evidence: Evidence, copies: np.ndarray | None = None
    ) -> None:
        """Add a glimpse at `cell` to the exact evidence of copies.

        `copies`: all of the bank's (None), or sorted int64 (k,): `evidence` is then of these.
        """
        glimpse = region(self.grid, cell, (0,), mirrored=False).of(image[None])[0]
        wheres = [region(self.grid, cell, self.settings.shifts, m) for m in self.reversals]
        evidence.begin(len(wheres[0].moves))
        start = 0
        for number, where in enumerate(wheres):
            first = number * len(self.bank)
            if copies is None:
                chunks = self._whole(where)
            else:
                edges = np.searchsorted(copies, (first, first + len(self.bank)))
                chunks = iter([where.of(self.bank.images, copies[slice(*edges)] - first)])
            for seen in chunks:
                distances = pixel_distances(seen, glimpse, where)
                evidence.put(start, torch.from_numpy(distances))
                start += distances.shape[1]

    def _whole(self, where: Region) -> Iterator[np.ndarray]:
        """What a region shows of the whole bank, some images at a time."""
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            if self._regions is None:
                yield where.of(self.bank.images, slice(start, start + ROWS_AT_ONCE))
            else:
                yield self._regions(where)[start : start + ROWS_AT_ONCE]

    def evidence(self, copies: int, scheduled: bool) -> Evidence:
        """None yet, of that many copies; for the sigmas of the schedule alone, if `scheduled`."""
        if not scheduled:
            return FreeEvidence(copies)
        return ScheduledEvidence(copies, self.settings.sigma, self.device)

    def scheduled(self, t: int) -> float | None:
        """The schedule's sigma after t glimpses (its last, from there on), or None."""
        schedule = self.settings.sigma
        return schedule[min(t, len(schedule)) - 1] if schedule else None

    def bisected(self, evidence: Evidence) -> float:
        """The sigma at which the evidence has the wanted effective sample size."""
        assert isinstance(evidence, FreeEvidence)
        nearest = evidence.nearest()
        return sigma_where(evidence.log_likelihood, nearest, self.settings.effective_samples)

    def labels(self, copies: np.ndarray, belief: Belief) -> np.ndarray:
        """int64 (k,): the label that `belief` is about, of copies."""
        return self.bank.labels[copies % len(self.bank), belief.label]

    def completions(self, copies: np.ndarray, effective: float, sigma: float) -> Completions:
        """The images of `copies`, int64 (N,), reversed where they are mirrored ones."""
        rows, mirrored = copies % len(self.bank), copies >= len(self.bank)
        images = self.bank.images[rows]
        images[mirrored] = images[mirrored][..., ::-1]
        return Completions(images, self.bank.labels[rows], effective, sigma, rows, mirrored)


class _ExactQuery:
    def __init__(self, retrieval: Retrieval, image: np.ndarray):
        self.retrieval, self.image = retrieval, image
        self.evidence = FreeEvidence(retrieval.copies)

    def observe(self, cell: int) -> None:
        self.retrieval.observe(self.image, cell, self.evidence)

    def draw(
        self, count: int, rng: np.random.Generator, belief: Belief | None = None
    ) -> Completions:
        retrieval, evidence = self.retrieval, self.evidence
        if not evidence.glimpses:
            return retrieval.prior(count, rng)
        sigma = retrieval.scheduled(evidence.glimpses) or retrieval.bisected(evidence)
        weights = normalise(evidence.log_likelihood(sigma**2))
        if belief is not None:
            weights = belief.applied(weights, retrieval.labels(np.arange(len(weights)), belief))
        copies = systematic(weights, count, rng)
        return retrieval.completions(copies, effective_sample_size(weights), sigma)


class _ProposalQuery:
    """`SAMPLEPROPOSAL` in `observe`, `SAMPLEIMAGES` in `draw`."""

    def __init__(self, retrieval: Retrieval, image: np.ndarray):
        assert retrieval.pca is not None
        self.retrieval, self.image = retrieval, image
        self.latents = retrieval.pca.latents_of(image)
        settings = retrieval.settings
        self.bisect = not settings.sigma or settings.effective_samples > 0
        self.evidence = retrieval.evidence(retrieval.copies, scheduled=not self.bisect)
        self.cells: list[int] = []

    def observe(self, cell: int) -> None:
        assert self.retrieval.proposal is not None
        self.retrieval.proposal.observe(self.latents, cell, self.evidence)
        self.cells.append(cell)

    def draw(
        self, count: int, rng: np.random.Generator, belief: Belief | None = None
    ) -> Completions:
        retrieval, settings = self.retrieval, self.retrieval.settings
        if not self.cells:
            return retrieval.prior(count, rng)
        scheduled = retrieval.scheduled(len(self.cells))
        proposal_sigma = retrieval.bisected(self.evidence) if self.bisect else scheduled
        assert proposal_sigma is not None
        log_proposal = self.evidence.log_likelihood(proposal_sigma**2)
        drawn = systematic(normalise(log_proposal), settings.retrieved, rng)
        copies, times = np.unique(drawn, return_counts=True)
        exact = FreeEvidence(len(copies))
        for cell in self.cells:
            retrieval.observe(self.image, cell, exact, copies)
        offset = np.log(times) - log_proposal[copies]

        def log_weights(variance: float) -> np.ndarray:
            return exact.log_likelihood(variance) + offset

        sigma = scheduled or self._sigma(log_weights, exact)
        weights = normalise(log_weights(sigma**2))
        if belief is not None:
            weights = belief.applied(weights, retrieval.labels(copies, belief))
        chosen = copies[systematic(weights, count, rng)]
        return retrieval.completions(chosen, effective_sample_size(weights), sigma)

    def _sigma(self, log_weights: Callable[[float], np.ndarray], exact: FreeEvidence) -> float:
        """That gives the importance weights the wanted effective sample size, as far as one does
        by which the glimpses alone leave no more of the copies that were drawn, or half of them."""
        wanted, distances = self.retrieval.settings.effective_samples, exact.nearest()
        most = sigma_where(exact.log_likelihood, distances, min(wanted, len(distances) / 2))
        return least_sigma_where(log_weights, distances, wanted, most)


class RetrievalKind:
    """Retrieval as the task's `annotation` says, its PCA fitted to the bank."""

    stage = "pca"
    labelled = True

    def config(self, task: Task, device: str) -> Mapping[str, Any] | None:
        components = task.annotation.components
        return {"components": components} if components else None

    def make(self, path: Path, fitting: Fitting) -> None:
        components = fitting.task.annotation.components
        fit_pca(fitting.bank.images, components, passes=fitting.passes).save(path)

    def open(self, path: Path | None, task: Task, bank: LabelledImages, device: str) -> Retrieval:
        pca = None if path is None else Pca.load(path)
        return Retrieval(bank, task.grid, task.annotation, pca, device)


COMPLETIONS.add("retrieval", RetrievalKind())
