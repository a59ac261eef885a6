"""The exact answer, where the bank is all there is.

Take a labelled bank as the whole of p(image, label), every image equally likely. Then the
posterior after any glimpses is a count over the bank images that match them, and the EPE is a
finite sum: what every estimator in the package is tested against. With `sigma` above 0 the match
is the completion's Gaussian relaxation instead of equality, which makes a usable posterior of a
bank of real images: `nogs-bench build --posterior bank`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.posterior.interface import ALONG_ROWS
from nogs_bench.builders.posterior.reliability import fixed_cells
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import GlimpseGrid

FLOOR = 1e-12
SIGMAS = tuple(float(2**exponent) for exponent in np.arange(-5, 2.25, 0.5))


class BankPosterior:
    """p(label | y_1:t, l_1:t) of a labelled bank; implements `Posterior`.

    **Arguments**

    - `bank`: uint8 images (m, channels, size, size), and labels of which column `target` counts.
    - `classes`: how many classes the target has.
    - `sigma`: standard deviation of the relaxation per glimpse, pixel values in 0 .. 1; 0 means
      that observed and bank pixels must be equal.
    - `device`: where it computes.
    """

    def __init__(
        self,
        bank: LabelledImages,
        grid: GlimpseGrid,
        classes: int,
        target: int = 0,
        sigma: float = 0.0,
        device: torch.device | str = "cpu",
    ):
        self.images = torch.from_numpy(np.ascontiguousarray(bank.images)).to(device)
        labels = torch.from_numpy(bank.labels[:, target])
        if (labels < 0).any():
            raise NogsError("a bank's own posterior needs all its labels; use --posterior avp")
        self.one_hot = torch.nn.functional.one_hot(labels, classes).float().to(device)
        self.grid, self.sigma = grid, sigma

    @torch.inference_mode()
    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """See `Posterior.log_posterior`; a glimpse that no bank image matches leaves the prior."""
        weights = self.weights(self.distances(images, cells))
        return _log_shares(weights, self.one_hot)

    def weights(self, distances: Tensor) -> Tensor:
        """float (n, m): of the bank's images, each row's sum 1, from squared `distances`."""
        if self.sigma:
            return (distances / (-2 * self.sigma**2)).softmax(dim=1)
        weights = (distances == 0).float()
        weights[weights.sum(1) == 0] = 1
        return weights / weights.sum(1, keepdim=True)

    def distances(self, images: Tensor, cells: Tensor) -> Tensor:
        """float (n, m): squared distances of images' glimpses to the bank's, pixel values in
        0 .. 1. A pixel that several glimpses saw counts once."""
        device = self.images.device
        distances = torch.zeros(len(images), len(self.images), device=device)
        masks = torch.from_numpy(self.grid.masks).to(device)
        seen = torch.zeros(len(images), *masks.shape[1:], dtype=torch.bool, device=device)
        for column in cells.T:
            for cell in column.unique():
                rows = torch.nonzero(column == cell)[:, 0]
                new = masks[int(cell)] & ~seen[rows]
                distances[rows] += self._distances(images[rows], int(cell), new)
            seen |= masks[column]
        return distances

    def _distances(self, images: Tensor, cell: int, new: Tensor) -> Tensor:
        """Squared distances (n, m) at one glimpse's `new` pixels, bool (n, size, size) of whole
        images; exactly 0 for equal pixels."""
        row, col = self.grid.pixels[cell]
        size = self.grid.glimpse_size

        def window(stack: Tensor) -> Tensor:
            return stack[:, :, row : row + size, col : col + size].flatten(1).to(kind)

        # Whole numbers: up to 128 pixel values a glimpse, float32 keeps this expansion exact.
        wide = size**2 * self.images.shape[1] > 128
        kind = torch.float64 if wide else torch.float32
        b = window(self.images)
        counted = window(new[:, None].expand(-1, self.images.shape[1], -1, -1))
        a = window(images) * counted
        squares = a.square().sum(1)[:, None] - 2 * a @ b.T + counted @ b.square().T
        return (squares / 255**2).float()


def _log_shares(weights: Tensor, one_hot: Tensor) -> Tensor:
    """float (n, classes), nats: the classes' shares of weights (n, m)."""
    mass = (weights @ one_hot).clamp(min=FLOOR)
    return (mass / mass.sum(1, keepdim=True)).log()


@torch.inference_mode()
def fit_bank_sigma(
    bank: LabelledImages, held: LabelledImages, grid: GlimpseGrid, classes: Sequence[int], T: int
) -> float:
    """The sigma of least cross-entropy on held-out images, for a bank's posterior.

    The cross-entropy is that of random sequences of 1 .. T glimpses, summed over t and over all
    labels of the family: one sigma for all of its tasks.

    - `classes`: how many classes each label has, in the order of the labels' columns.
    """
    cells = fixed_cells(grid, len(held), T)
    posteriors = [BankPosterior(bank, grid, classes[0], 0, sigma) for sigma in SIGMAS]
    one_hots = [BankPosterior(bank, grid, n, label).one_hot for label, n in enumerate(classes)]
    scores = np.zeros(len(SIGMAS))
    for start in range(0, len(held), ALONG_ROWS):
        rows = slice(start, start + ALONG_ROWS)
        images, taken = torch.from_numpy(held.images[rows]), torch.from_numpy(cells[rows])
        truth = torch.from_numpy(held.labels[rows])
        for t in range(1, T + 1):
            distances = posteriors[0].distances(images, taken[:, :t])
            for number, posterior in enumerate(posteriors):
                weights = posterior.weights(distances)
                for label, one_hot in enumerate(one_hots):
                    log = _log_shares(weights, one_hot)
                    scores[number] -= float(log.gather(1, truth[:, label, None]).sum())
    return SIGMAS[int(np.argmin(scores))]


def exact_epe(posterior: BankPosterior, image: np.ndarray, prefix: np.ndarray) -> np.ndarray:
    """float64 (cells,): the EPE of every next glimpse by enumeration, equation (5), nats.

    The expectation runs over every bank image that matches `image` (uint8, (channels, size,
    size)) at the cells of `prefix` (int64, (t - 1,)); `posterior.sigma` must be 0.
    """
    cells = torch.as_tensor(prefix, dtype=torch.int64)
    observed = torch.from_numpy(image)[None]
    matches = torch.ones(len(posterior.images), dtype=torch.bool)
    for cell in cells:
        matches &= posterior.distances(observed, cell[None, None])[0] == 0
    consistent = posterior.images[matches]
    epe = np.empty(posterior.grid.cells)
    for cell in range(posterior.grid.cells):
        after = torch.cat([cells, torch.tensor([cell])]).expand(len(consistent), -1)
        log = posterior.log_posterior(consistent, after).double()
        epe[cell] = torch.special.entr(log.exp()).sum(1).mean()
    return epe
