"""How well bank images match glimpses: windows, small moves, mirrored copies.

Appendix A.3.3: a bank image is compared as it is and left to right reversed, and its likelihood
is the sum of the Gaussian likelihoods of the windows close to the observed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import conv2d

from nogs_bench.tasks import GlimpseGrid

ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Region:
    """The pixels that all moves of a glimpse at one cell see of a bank image.

    - `row`, `col`: its top-left corner, in the reversed image where `mirrored` is true.
    - `height`, `width`: pixels. - `size`: of the glimpse, pixels.
    - `moves`: (row, col) of each move's window within the region, pixels.
    """

    row: int
    col: int
    height: int
    width: int
    size: int
    mirrored: bool
    moves: tuple[tuple[int, int], ...]

    @property
    def dense(self) -> bool:
        """Whether the moves are all windows of the region, row by row."""
        across = self.width - self.size + 1
        return len(self.moves) == across * (self.height - self.size + 1)

    def of(self, images: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(n, channels, height, width): the region of images (m, channels, side, side).

        No other pixels of them are read.
        """
        down = slice(self.row, self.row + self.height)
        if not self.mirrored:
            return images[rows, :, down, self.col : self.col + self.width]
        stop = images.shape[-1] - self.col
        return images[rows, :, down, stop - self.width : stop][..., ::-1]


def region(grid: GlimpseGrid, cell: int, shifts: Sequence[int], mirrored: bool) -> Region:
    """What a glimpse at `cell` sees when moved down and across by every pair of `shifts`, pixels.

    Moves that would leave the image are left out, for every bank image alike.
    """
    corner = (int(value) for value in grid.pixels[cell])
    rows, cols = (
        sorted(at + shift for shift in shifts if 0 <= at + shift <= grid.span) for at in corner
    )
    return Region(
        row=rows[0],
        col=cols[0],
        height=rows[-1] - rows[0] + grid.glimpse_size,
        width=cols[-1] - cols[0] + grid.glimpse_size,
        size=grid.glimpse_size,
        mirrored=mirrored,
        moves=tuple((row - rows[0], col - cols[0]) for row in rows for col in cols),
    )


def pixel_distances(seen: np.ndarray, glimpse: np.ndarray, where: Region) -> np.ndarray:
    """float32 (moves, n): squared distances of a glimpse to all moves' windows of regions.

    `seen`: uint8 (n, channels, height, width), what `where` shows of n images; `glimpse`: uint8
    (channels, size, size). Pixel values count in 0 .. 1.
    """
    compare = _slid if where.dense and len(where.moves) > 1 else _one_by_one
    distances = compare(seen.astype(np.float32), glimpse.astype(np.float32), where)
    return distances / np.float32(255**2)


def _one_by_one(seen: np.ndarray, target: np.ndarray, where: Region) -> np.ndarray:
    distances = np.empty((len(where.moves), len(seen)), np.float32)
    for move, (down, across) in enumerate(where.moves):
        window = seen[:, :, down : down + where.size, across : across + where.size]
        flat = (window - target).reshape(len(seen), target.size)
        distances[move] = np.einsum("np,np->n", flat, flat)
    return distances


def _slid(seen: np.ndarray, target: np.ndarray, where: Region) -> np.ndarray:
    """|a - b|^2 = |a|^2 - 2 a b + |b|^2 for all windows a of a region: two correlations."""
    pixels = torch.from_numpy(seen)
    squares = pixels.square().sum(1, keepdim=True)
    ones = torch.ones(1, 1, where.size, where.size)
    crossed = conv2d(pixels, torch.from_numpy(target)[None])
    distances = conv2d(squares, ones) - 2 * crossed + float(np.square(target).sum())
    return distances.flatten(1).clamp_(min=0).T.numpy()
