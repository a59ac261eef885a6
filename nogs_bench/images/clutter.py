"""Objects laid among clutter on a canvas: what the composed tasks share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

BLOCK = 256

# block number -> uint8 (BLOCK, size, size) images, int64 (BLOCK,) labels, int64 (BLOCK, k) places
Blocks = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]


def draw_range(block: Blocks, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images `start .. start + count - 1` of a stream, their labels and where their objects are.

    Whole blocks are drawn and cut to the range: any range gives the same images.
    """
    blocks = range(start // BLOCK, max(-(-(start + count) // BLOCK), start // BLOCK + 1))
    parts = [block(number) for number in blocks]
    rows = slice(start % BLOCK, start % BLOCK + count)
    images, labels, places = (np.concatenate(part)[rows] for part in zip(*parts, strict=True))
    return images, labels, places


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
