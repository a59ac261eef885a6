"""How well bank images match glimpses: windows, small moves, mirrored copies, likelihoods.

Appendix A.3.3: a bank image is compared as it is and left to right reversed, and its likelihood
is the sum of the Gaussian likelihoods of the windows close to the observed one. The sum runs over
the moves of one glimpse; the glimpses are independent, so their likelihoods multiply.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nogs_bench.geometry import GlimpseGrid

ROWS_AT_ONCE = 4_096


def window(images: np.ndarray, pixel: tuple[int, int], size: int, mirrored: bool) -> np.ndarray:
    """View (..., size, size): what a glimpse sees of images (..., side, side).

    `pixel`: (row, col) of its top-left corner, in the mirrored image where `mirrored` is true.
    """
    row, col = pixel
    rows = slice(row, row + size)
    if not mirrored:
        return images[..., rows, col : col + size]
    stop = images.shape[-1] - col
    return images[..., rows, stop - size : stop][..., ::-1]


def moved(grid: GlimpseGrid, cell: int, shifts: Sequence[int]) -> list[tuple[int, int]]:
    """A cell's (row, col) moved down and across by every pair of `shifts`, in pixels.

    Moves that would leave the image are left out, for every bank image alike.
    """
    row, col = (int(value) for value in grid.pixels[cell])
    rows, cols = (
        [at + shift for shift in shifts if 0 <= at + shift <= grid.span] for at in (row, col)
    )
    return [(down, across) for down in rows for across in cols]


def pixel_distances(
    images: np.ndarray, glimpse: np.ndarray, pixels: Sequence[tuple[int, int]], mirrored: bool
) -> np.ndarray:
    """float32 (moves, n): squared distances of a glimpse to windows of images.

    `images`: uint8 (n, channels, side, side); `glimpse`: uint8 (channels, size, size); `pixels`:
    where the windows are. Pixel values count in 0 .. 1.
    """
    target = glimpse.astype(np.float32)
    distances = np.empty((len(pixels), len(images)), np.float32)
    for start in range(0, len(images), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        part = images[rows]
        for move, pixel in enumerate(pixels):
            theirs = window(part, pixel, glimpse.shape[-1], mirrored).astype(np.float32)
            theirs -= target
            flat = theirs.reshape(len(theirs), -1) / 255
            distances[move, rows] = np.einsum("np,np->n", flat, flat)
    return distances


class Evidence:
    """Squared distances of n bank copies to the glimpses so far, and the likelihoods they make."""

    def __init__(self, copies: int):
        self.glimpses = 0
        # Glimpses without moves need one sum; the others keep every move's distances, since the
        # likelihood's sum over moves depends on sigma.
        self._still = np.zeros(copies, np.float32)
        self._moving: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, distances: np.ndarray) -> None:
        """Take the squared distances (moves, n) of one more glimpse."""
        if len(distances) == 1:
            self._still += distances[0]
        else:
            self._moving.append((distances, distances.min(0)))
        self.glimpses += 1

    def nearest(self) -> np.ndarray:
        """float32 (n,): squared distances at each glimpse's best move, summed over glimpses."""
        return sum((nearest for _, nearest in self._moving), self._still)

    def log_likelihood(self, variance: float) -> np.ndarray:
        """float32 (n,), up to a constant: sum over glimpses of the log of the sum over moves.

        `variance`: sigma^2 of the Gaussian relaxation, pixel values in 0 .. 1.
        """
        scale = -2 * variance
        total = self._still / scale
        for distances, nearest in self._moving:
            mass = np.zeros_like(nearest)
            for move in distances:
                mass += np.exp((move - nearest) / scale)
            total += nearest / scale + np.log(mass)
        return total
