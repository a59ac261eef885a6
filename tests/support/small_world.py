"""A world whose posteriors are known: small black and white images of four kinds of figures.

An image shows one of four fixed 4 x 4 figures somewhere on 6 x 6 pixels, each pixel turned over by
chance, independently. So p(image, label) is a mixture of 36 products of Bernoullis: images can be
drawn at will, p(label | glimpses) is a sum over 36 terms, and the expected posterior entropy of a
next glimpse is a sum over the at most 16 things that it can show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nogs_bench.images import Label, LabelledImages
from nogs_bench.tasks import GlimpseGrid, Task, get_task

SIDE, FIGURE, GLIMPSE, CLASSES = 6, 4, 2, 4
TURNED = 0.08


@dataclass(frozen=True)
class SmallWorld:
    """p(image, label), and its exact posterior: implements `Posterior`.

    - `seed`: of the figures. - `temperature`: log-posteriors are divided by it and normalised; 1 is
      exact, below 1 is too sure, as a network that was trained on other glimpses may be.
    """

    seed: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 77])
        figures = rng.random((CLASSES, FIGURE, FIGURE)) < 0.5
        parts = []
        for figure in figures:
            for row in range(SIDE - FIGURE + 1):
                for col in range(SIDE - FIGURE + 1):
                    canvas = np.full((SIDE, SIDE), TURNED)
                    shown = np.where(figure, 1 - TURNED, TURNED)
                    canvas[row : row + FIGURE, col : col + FIGURE] = shown
                    parts.append(canvas.ravel())
        lit = torch.tensor(np.array(parts))
        object.__setattr__(self, "_lit", lit)
        object.__setattr__(self, "_masks", torch.from_numpy(self.grid.masks).flatten(1))

    @property
    def grid(self) -> GlimpseGrid:
        """25 cells of 2 x 2 pixels."""
        return GlimpseGrid.even(SIDE, GLIMPSE, 1)

    def draw(self, count: int, rng: np.random.Generator) -> LabelledImages:
        """Images uint8 (count, 1, 6, 6) of 0 and 255, and labels int64 (count, 1)."""
        kinds = rng.integers(len(self._lit), size=count)
        lit = rng.random((count, SIDE * SIDE)) < self._lit.numpy()[kinds]
        images = (lit * np.uint8(255)).reshape(count, 1, SIDE, SIDE)
        return LabelledImages(images, self._label(kinds)[:, None])

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """See `Posterior.log_posterior`: exact, but for the temperature."""
        seen = self._masks[cells].any(1).double()
        scaled = self._of(self._kinds(images.flatten(1) > 127, seen)) / self.temperature
        return scaled.log_softmax(1).float()

    def exact_epe(self, image: np.ndarray, prefix: np.ndarray) -> np.ndarray:
        """float64 (cells,): the true EPE of every next glimpse, nats (equation 5)."""
        exact = self if self.temperature == 1 else replace(self, temperature=1.0)
        taken = self._masks[torch.from_numpy(np.asarray(prefix, np.int64))].any(0)
        pixels = torch.from_numpy(image).flatten() > 127
        before = exact._kinds(pixels[None], taken[None].double())[0].softmax(0)
        epe = np.empty(self.grid.cells)
        for cell, mask in enumerate(self._masks):
            new = torch.nonzero(mask & ~taken)[:, 0]
            bits = torch.arange(2 ** len(new))[:, None] >> torch.arange(len(new)) & 1
            shown = torch.zeros(len(bits), SIDE * SIDE, dtype=torch.bool)
            shown[:, new] = bits.bool()
            only = torch.zeros(SIDE * SIDE, dtype=torch.double)
            only[new] = 1
            joint = before.log() + exact._kinds(shown, only.expand(len(bits), -1))
            label = exact._of(joint.log_softmax(1)).exp()
            epe[cell] = (joint.logsumexp(1).exp() * torch.special.entr(label).sum(1)).sum()
        return epe

    def expected_cross_entropy(self, images: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """float64 (n,): -log g(label) after glimpses at cells (n, t), over the labels that the
        images may have given these glimpses, nats: no draw of the label blurs it."""
        args = torch.from_numpy(images), torch.from_numpy(cells)
        right = replace(self, temperature=1.0).log_posterior(*args).double().exp()
        return np.asarray(-(right * self.log_posterior(*args).double()).sum(1))

    def task(self, T: int = 4) -> Task:
        """Fashion-MNIST's task with this world's geometry and labels."""
        return replace(
            get_task("fashion-mnist"),
            name="small-world",
            family="small-world",
            T=T,
            grid=self.grid,
            labels=(Label("figure", tuple("abcd")),),
        )

    def _kinds(self, lit: Tensor, seen: Tensor) -> Tensor:
        """float64 (n, 36): log p(seen pixels | kind)."""
        on, off = self._lit.log(), (-self._lit).log1p()
        lit = lit.double()
        return (seen * lit) @ on.T + (seen * (1 - lit)) @ off.T

    def _of(self, kinds: Tensor) -> Tensor:
        """float64 (n, 4): log-sums over each label's kinds."""
        return kinds.view(len(kinds), CLASSES, -1).logsumexp(2)

    @staticmethod
    def _label(kinds: np.ndarray) -> np.ndarray:
        return kinds // (SIDE - FIGURE + 1) ** 2
