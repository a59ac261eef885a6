"""Objects laid among clutter on a canvas: what the composed tasks share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from nogs_bench.images.labelled import LabelledImages

BLOCK = 256

Pool = tuple[np.ndarray, np.ndarray]
"""Objects uint8 (n, size, size), and their labels int64 (n,)."""


@dataclass(frozen=True)
class Canvas:
    """One object somewhere among scraps of others of its pool, on black.

    - `size`, `piece`, `scrap`: pixels of the sides of the canvas, an object and a scrap.
    - `scraps`: how many there are.
    """

    size: int
    piece: int
    scrap: int
    scraps: int

    def draw(
        self, stream: str, name: str, pool: Pool, start: int, count: int
    ) -> tuple[LabelledImages, np.ndarray, np.ndarray]:
        """Images `start .. start + count - 1` of a stream over the pool called `name`.

        Whole blocks are drawn and cut to the range: any range gives the same images.

        **Returns** the images, the numbers of their objects in the pool, int64 (count,), and the
        objects' top-left pixels (row, col), int64 (count, 2).
        """
        blocks = range(start // BLOCK, max(-(-(start + count) // BLOCK), start // BLOCK + 1))
        parts = [self._block(block_rng(stream, name, number), pool[0]) for number in blocks]
        rows = slice(start % BLOCK, start % BLOCK + count)
        images, chosen, corners = (np.concatenate(part)[rows] for part in zip(*parts, strict=True))
        return LabelledImages(images[:, None], pool[1][chosen][:, None]), chosen, corners

    def _block(
        self, rng: np.random.Generator, objects: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        canvas = np.zeros((BLOCK, self.size, self.size), np.uint8)
        for _ in range(self.scraps):
            source = rng.integers(len(objects), size=BLOCK)
            inside = rng.integers(self.piece - self.scrap + 1, size=(BLOCK, 2))
            scraps = objects[window(source, inside, self.scrap)]
            paint(canvas, scraps, rng.integers(self.size - self.scrap + 1, size=(BLOCK, 2)))
        chosen = rng.integers(len(objects), size=BLOCK)
        corners = rng.integers(self.size - self.piece + 1, size=(BLOCK, 2))
        paint(canvas, objects[chosen], corners)
        return canvas, chosen, corners


def block_rng(stream: str, pool: str, block: int) -> np.random.Generator:
    """The randomness of one block: a function of stream, pool and number alone."""
    key = hashlib.sha256(f"{stream}/{pool}/{block}".encode()).digest()
    return np.random.default_rng(np.frombuffer(key, np.uint32))


def paint(canvas: np.ndarray, patches: np.ndarray, corner: np.ndarray) -> None:
    """Lay each patch on its canvas at its corner (row, col); the brighter pixel wins.

    `canvas`: uint8 (n, size, size), changed in place; `patches`: uint8 (n, p, p); `corner`: int64
    (n, 2).
    """
    place = window(np.arange(len(canvas)), corner, patches.shape[-1])
    canvas[place] = np.maximum(canvas[place], patches)


def window(first: np.ndarray, corner: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Indices of `size` x `size` pixels from `corner` (n, 2) on, in images number `first` (n,)."""
    line = np.arange(size)
    rows = corner[:, 0, None, None] + line[None, :, None]
    cols = corner[:, 1, None, None] + line[None, None, :]
    return first[:, None, None], rows, cols
