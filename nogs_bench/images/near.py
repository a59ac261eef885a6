"""Near copies: images that are not equal pixel by pixel and yet the same picture, as after another
compression or a change of light. Found among those whose coarse shape is equal, so not all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Protocol

import numpy as np

SIDE = 8  # of the coarse image: its 64 cells, lighter than their mean or not, are the shape
FEWEST = 8  # cells of either kind; below, a shape tells little
LEAST_CONTRAST = 8.0  # standard deviation of a picture's pixels, of 255; below, it is flat
ALIKE = 0.995  # least correlation of the pixels of near copies
COMPARED = 2000  # pairs at most, so that reading takes no longer where shapes tell little


class Pictures(Protocol):
    """Decoded images; see `images.cache.Decoded`."""

    @property
    def pixels(self) -> np.ndarray: ...
    @property
    def rows(self) -> np.ndarray: ...
    @property
    def digests(self) -> Sequence[str]: ...
    @property
    def shapes(self) -> Sequence[str | None]: ...


def shape_of(pixels: np.ndarray) -> str | None:
    """The coarse shape of one image, uint8 (channels, height, width), as 16 hexadecimal digits: the
    means of 8 x 8 cells of its grey or green, lighter than their mean or not.

    None of an image that is smaller, or has hardly any shape.
    """
    height, width = pixels.shape[1:]
    if min(height, width) < SIDE:
        return None
    middle = pixels[len(pixels) // 2].astype(np.float32)
    cells = _means(height) @ middle @ _means(width).T
    light = np.packbits(cells > cells.sum() / cells.size).tobytes()
    few = int.from_bytes(light).bit_count()
    return light.hex() if FEWEST <= few <= SIDE**2 - FEWEST else None


@cache
def _means(side: int) -> np.ndarray:
    """float32 (8, side): from pixels in a line to the means of 8 equal pieces of it."""
    edges = np.linspace(0, side, SIDE + 1)
    start, stop, pixel = edges[:-1, None], edges[1:, None], np.arange(side)
    covered = np.minimum(stop, pixel + 1) - np.maximum(start, pixel)
    return (covered.clip(0) * SIDE / side).astype(np.float32)


def near_copies(
    found: Pictures, names: Sequence[str], splits: Mapping[str, Sequence[int]], where: str
) -> list[str]:
    """A line for each of validation and test that holds near copies of training images."""
    trained: dict[str, list[int]] = defaultdict(list)
    known = set()
    for number in splits["train"]:
        known.add(found.digests[number])
        if (shape := found.shapes[number]) is not None:
            trained[shape].append(number)
    lines = []
    for split in ("validation", "test"):
        wanted = (
            (number, other)
            for number in splits[split]
            if found.digests[number] not in known
            for other in trained.get(found.shapes[number] or "", ())
        )
        pairs: dict[int, int] = {}
        for number, other in islice(wanted, COMPARED):
            if number not in pairs and _alike(found, number, other):
                pairs[number] = other
        if pairs:
            one, other = next(iter(pairs.items()))
            lines.append(
                f"{where}: at least {len(pairs):,} of the {len(splits[split]):,} images of {split} "
                f"are near copies of training images ({names[one]} of {names[other]}); scores on "
                "them are too good"
            )
    return lines


def _alike(found: Pictures, one: int, other: int) -> bool:
    first, second = (
        found.pixels[found.rows[number]].astype(np.float32).ravel() for number in (one, other)
    )
    first -= first.mean()
    second -= second.mean()
    powers = float(first @ first), float(second @ second)
    if min(powers) < LEAST_CONTRAST**2 * first.size:
        return False
    return float(first @ second) >= ALIKE * (powers[0] * powers[1]) ** 0.5
