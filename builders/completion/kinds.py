"""Stochastic image completion: draws from r_img(I | y_1:t, l_1:t) (section 4, appendix A.3).

Everything that completes images does so behind `Completion`: it starts a `Query` for an image, is
told of glimpses one by one, and draws whole images that agree with them. `COMPLETIONS` names the
kinds that the paper tried: retrieval from a bank (its choice), a conditional GAN, and Hamiltonian
Monte Carlo in the latent space of a generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from nogs_bench.builders.completion.passes import Here, Passes
from nogs_bench.images import LabelledImages
from nogs_bench.registry import Registry
from nogs_bench.tasks import Task

LEAST_SHARE = 1e-9


@dataclass(frozen=True)
class Completions:
    """N equally weighted draws of I given the glimpses.

    - `images`: uint8 (N, channels, image_size, image_size), in random order.
    - `labels`: int64 (N, number of the family's labels); -1 where the label is unknown.
    - `effective_samples`: effective sample size of the weights that they were drawn with.
    - `sigma`: standard deviation of the Gaussian that relaxes the glimpses' Dirac likelihood,
      pixel values in 0 .. 1; infinity before the first glimpse, 0 where nothing is relaxed.
    - `rows`: int64 (N,), the bank images drawn; empty where there is no bank.
    - `mirrored`: bool (N,), whether `images` shows the bank image left to right reversed; as long
      as `rows`.
    """

    images: np.ndarray
    labels: np.ndarray
    effective_samples: float
    sigma: float
    rows: np.ndarray
    mirrored: np.ndarray

    def part(self, some: slice) -> Completions:
        """Some of the draws."""
        return replace(
            self,
            images=self.images[some],
            labels=self.labels[some],
            rows=self.rows[some],
            mirrored=self.mirrored[some],
        )


def generated(
    images: np.ndarray, labels: int, effective_samples: float, sigma: float
) -> Completions:
    """`Completions` that no bank holds: uint8 `images`, with `labels` unknown labels each."""
    unknown = np.full((len(images), labels), -1, np.int64)
    nowhere = np.empty(0, np.int64)
    return Completions(images, unknown, effective_samples, sigma, nowhere, nowhere.astype(bool))


@dataclass(frozen=True)
class Belief:
    """What the posterior says of a label, given the glimpses observed.

    - `label`: its column.
    - `log_posterior`: float (classes,), nats.
    """

    label: int
    log_posterior: np.ndarray

    def applied(self, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Weights (n,) of images with these labels, int64 (n,), so changed that each label's
        weights sum to its probability; a label that no weighted image has is left out. Where a
        label is unknown (-1), nothing is changed."""
        if (labels < 0).any():
            return weights
        probabilities = np.exp(self.log_posterior.astype(np.float64))
        share = np.bincount(labels, weights, len(probabilities))
        factor = np.divide(
            probabilities, share, out=np.zeros_like(share), where=share > LEAST_SHARE
        )
        changed = weights * factor[labels]
        total = changed.sum()
        return changed / total if total > 0 else weights


class Query(Protocol):
    """The completions of one image, as glimpses at it come in."""

    def observe(self, cell: int) -> None:
        """Take a glimpse at a cell."""
        ...

    def draw(
        self, count: int, rng: np.random.Generator, belief: Belief | None = None
    ) -> Completions:
        """`count` completions given the glimpses observed so far; a function of `rng` alone.

        With a `belief`, labels come in its proportions, and images given their labels as before.
        """
        ...


class Completion(Protocol):
    """A way to complete images.

    Its class may have `draws_copies`: True if each completion is an image of the bank, as it is or
    reversed, as its `rows` and `mirrored` say, so that what follows from a bank image is computed
    once. This is not inherited.
    """

    @property
    def support(self) -> float:
        """How many different images there are to draw; infinity for a generator."""
        ...

    def prior(self, count: int, rng: np.random.Generator) -> Completions:
        """`count` images given no glimpses, distinct as long as there are enough."""
        ...

    def query(self, image: np.ndarray) -> Query:
        """Start with no glimpses of an image, uint8 (channels, image_size, image_size)."""
        ...


@dataclass(frozen=True)
class Fitting:
    """What a completion is fitted to, and with what.

    - `bank`: images of the task, uint8 (n, channels, image_size, image_size).
    - `passes`: goes over these images, by many workers if there are.
    """

    task: Task
    bank: LabelledImages
    seed: int
    device: str
    passes: Passes


class CompletionKind(Protocol):
    """A way to come by a completion: fitted to a bank once, as a file, then opened by every worker.

    - `stage`: what a build calls the file.
    - `labelled`: whether completions bring the labels of the bank.
    """

    stage: str
    labelled: bool

    def config(self, task: Task, device: str) -> Mapping[str, Any] | None:
        """Every setting that the file depends on, as plain JSON values; None: there is no file.

        Raises `NogsError` if something that the kind needs is not installed.
        """
        ...

    def make(self, path: Path, fitting: Fitting) -> None:
        """Fit to the bank's images and write the file."""
        ...

    def open(self, path: Path | None, task: Task, bank: LabelledImages, device: str) -> Completion:
        """The completion that `make` fitted; `path` is None where there is no file."""
        ...


COMPLETIONS: Registry[CompletionKind] = Registry("completion", group="nogs_bench.completions")


def fit_completion(
    name: str, task: Task, bank: LabelledImages, seed: int = 0, device: str = "cpu"
) -> Completion:
    """The completion called `name`, fitted to a bank, leaving no file."""
    kind = COMPLETIONS[name]
    if kind.config(task, device) is None:
        return kind.open(None, task, bank, device)
    with TemporaryDirectory(prefix="nogs-bench-") as folder:
        path = Path(folder, f"{kind.stage}.safetensors")
        kind.make(path, Fitting(task, bank, seed, device, Here(bank.images)))
        return kind.open(path, task, bank, device)
