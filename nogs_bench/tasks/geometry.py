"""Where a glimpse may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.tasks.values import settle


@dataclass(frozen=True)
class GlimpseGrid:
    """The allowed locations of a square glimpse in a square image.

    A location is named in three ways, and each converts into the others:

    - *index*: one integer in `0 .. cells - 1`, row by row;
    - *pixel*: (row, col) of the glimpse's top-left corner;
    - *normalised*: (row, col) of the glimpse's centre, from -1 (as far up or left as a glimpse can
      go in the image) to 1 (as far down or right).

    Steps need not be even. The methods take arrays of any leading shape, and refuse what lies
    outside the grid with a `NogsError` that names it.

    **Arguments**

    - `image_size`: side of the image, pixels.
    - `glimpse_size`: side of the glimpse, pixels.
    - `rows`, `cols`: allowed pixel rows and columns of the top-left corner, strictly increasing,
      within `0 .. image_size - glimpse_size`.
    """

    image_size: int
    glimpse_size: int
    rows: tuple[int, ...]
    cols: tuple[int, ...]

    def __post_init__(self) -> None:
        settle(self, "grid", {})
        if not 1 <= self.glimpse_size <= self.image_size:
            raise NogsError(
                f"a glimpse of {self.glimpse_size} pixels does not fit an image of "
                f"{self.image_size}; glimpse_size must lie in 1..image_size"
            )
        for axis, steps in (("rows", self.rows), ("cols", self.cols)):
            inside = steps and min(steps) >= 0 and max(steps) <= self.span
            if not inside or any(a >= b for a, b in pairwise(steps)):
                raise NogsError(
                    f"grid {axis} must increase strictly within 0..{self.span}, got {steps}"
                )

    @classmethod
    def even(cls, image_size: int, glimpse_size: int, stride: int) -> GlimpseGrid:
        """Every `stride`-th pixel, from the image's corner as far as a whole glimpse fits."""
        try:
            steps = tuple(range(0, image_size - glimpse_size + 1, stride))
        except (TypeError, ValueError) as error:
            raise NogsError(
                f"a grid takes integers, and a stride of at least 1; got image_size {image_size}, "
                f"glimpse_size {glimpse_size}, stride {stride}"
            ) from error
        return cls(image_size, glimpse_size, steps, steps)

    @classmethod
    def linspace(cls, image_size: int, glimpse_size: int, points: int, last: int) -> GlimpseGrid:
        """`int(linspace(0, last, points))` on both axes, as the paper's CelebA-HQ grid."""
        steps = tuple(int(step) for step in np.linspace(0, last, points))
        return cls(image_size, glimpse_size, steps, steps)

    @property
    def span(self) -> int:
        """The furthest pixel a top-left corner can have."""
        return self.image_size - self.glimpse_size

    @property
    def shape(self) -> tuple[int, int]:
        """Cells down and across."""
        return len(self.rows), len(self.cols)

    @property
    def cells(self) -> int:
        """Number of allowed locations."""
        return len(self.rows) * len(self.cols)

    @cached_property
    def pixels(self) -> np.ndarray:
        """int64 (cells, 2): the pixel location of every index."""
        grid = np.meshgrid(self.rows, self.cols, indexing="ij")
        return np.stack(grid, axis=-1).reshape(-1, 2).astype(np.int64)

    @cached_property
    def _positions(self) -> tuple[np.ndarray, np.ndarray]:
        """For each axis, the step's position at every pixel, -1 where there is none."""
        tables = []
        for steps in (self.rows, self.cols):
            table = np.full(self.span + 1, -1, dtype=np.int64)
            table[list(steps)] = np.arange(len(steps))
            tables.append(table)
        return tables[0], tables[1]

    def index_to_pixel(self, index: np.ndarray) -> np.ndarray:
        """int64 (..., 2) pixel locations of integer indices (...)."""
        index = _integers(index, "location index")
        outside = (index < 0) | (index >= self.cells)
        if outside.any():
            raise NogsError(
                f"location index {index[outside].flat[0]} is outside 0..{self.cells - 1}"
            )
        return self.pixels[index]

    def pixel_to_index(self, pixel: np.ndarray) -> np.ndarray:
        """int64 (...) indices of integer pixel locations (..., 2)."""
        pixel = _integers(pixel, "pixel location")
        if pixel.shape[-1:] != (2,):
            raise NogsError(f"pixel locations must end in (row, col), got shape {pixel.shape}")
        inside = ((pixel >= 0) & (pixel <= self.span)).all(-1)
        row, col = (
            table[np.clip(pixel[..., axis], 0, self.span)]
            for axis, table in enumerate(self._positions)
        )
        off = ~inside | (row < 0) | (col < 0)
        if off.any():
            bad = tuple(int(value) for value in pixel[off][0])
            raise NogsError(
                f"location (row, col) = {bad} is off the grid of {self.shape[0]} x "
                f"{self.shape[1]} cells; nearest is {self.nearest(bad)}"
            )
        return row * len(self.cols) + col

    def pixel_to_normalised(self, pixel: np.ndarray) -> np.ndarray:
        """float32 (..., 2) in [-1, 1] of pixel locations (..., 2); 0 where the span is 0."""
        return (2 * np.asarray(pixel, np.float32) / max(self.span, 1) - (self.span > 0)).astype(
            np.float32
        )

    def normalised_to_pixel(self, normalised: np.ndarray) -> np.ndarray:
        """int64 (..., 2): the allowed pixel location nearest to normalised ones (..., 2)."""
        normalised = np.asarray(normalised, np.float64)
        if not (np.abs(normalised) <= 1).all():
            raise NogsError("normalised locations must lie in [-1, 1]")
        pixel = (normalised + (self.span > 0)) * self.span / 2
        return self.snapped(pixel)

    def nearest(self, pixel: Sequence[int]) -> tuple[int, int]:
        """The allowed pixel location nearest to `pixel` (row, col)."""
        row, col = self.snapped(np.asarray(pixel)).tolist()
        return row, col

    def snapped(self, pixel: np.ndarray) -> np.ndarray:
        """int64 (..., 2): the allowed pixel location (row, col) nearest to each of (..., 2)."""
        pixel = np.asarray(pixel, np.float64)
        near = [
            np.asarray(steps)[np.abs(pixel[..., axis, None] - np.asarray(steps)).argmin(-1)]
            for axis, steps in enumerate((self.rows, self.cols))
        ]
        return np.stack(near, axis=-1).astype(np.int64)

    @cached_property
    def mirrored(self) -> np.ndarray:
        """int64 (cells,): the cell nearest to each one's place in images reversed left to right."""
        steps = np.asarray(self.cols)
        cols = np.abs(self.span - steps[:, None] - steps).argmin(1)
        return (np.arange(len(self.rows))[:, None] * len(steps) + cols).reshape(-1)

    @cached_property
    def masks(self) -> np.ndarray:
        """bool (cells, image_size, image_size): the pixels that a glimpse at each index sees."""
        line = np.arange(self.image_size)
        covers = [
            (line >= corner[:, None]) & (line < corner[:, None] + self.glimpse_size)
            for corner in self.pixels.T
        ]
        return covers[0][:, :, None] & covers[1][:, None, :]


def _integers(values: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise NogsError(f"{name} must be integers, got {array.dtype}")
    return array.astype(np.int64)
