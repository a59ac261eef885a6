"""The proposal's distances: glimpses against a bank's reconstructions (A.3.3, equation 16)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nogs_bench.builders.matching import ROWS_AT_ONCE, window
from nogs_bench.builders.pca import Pca


def projected_distances(
    pca: Pca, glimpse: np.ndarray, pixels: Sequence[tuple[int, int]], mirrored: bool
) -> np.ndarray:
    """float32 (moves, bank): squared distances of a glimpse to windows of reconstructions.

    `glimpse`: float32 (channels, size, size) in 0 .. 1; `pixels`: where the windows are. Only the
    windows' columns of W are used (equation 16), for a fixed number of rows at a time.
    """
    maps = [_window_map(pca, glimpse, pixel, mirrored) for pixel in pixels]
    distances = np.empty((len(maps), len(pca.latents)), np.float32)
    for start in range(0, len(pca.latents), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        latents = pca.latents[rows].astype(np.float32, copy=False)
        for move, (columns, offset, rest) in enumerate(maps):
            theirs = latents @ columns
            theirs += offset
            distances[move, rows] = np.einsum("np,np->n", theirs, theirs) + rest
    return distances


def _window_map(
    pca: Pca, glimpse: np.ndarray, pixel: tuple[int, int], mirrored: bool
) -> tuple[np.ndarray, np.ndarray, np.float32]:
    """A, b, c with |z A + b|^2 + c the squared distance of a reconstruction's window.

    A window of more pixels than components is turned onto the space that the latents can reach;
    what of the offset lies outside of it is the constant c.
    """
    size, channels = glimpse.shape[-1], len(glimpse)
    side = round((len(pca.mean) / channels) ** 0.5)
    columns, mean = (
        window(array.reshape(-1, channels, side, side), pixel, size, mirrored).reshape(
            -1, glimpse.size
        )
        for array in (pca.basis, pca.mean)
    )
    offset = mean[0] - glimpse.reshape(-1)
    if columns.shape[0] >= columns.shape[1]:
        return columns, offset, np.float32(0)
    turn, reduced = np.linalg.qr(columns.T)
    inside = turn.T @ offset
    outside = offset - turn @ inside
    return np.ascontiguousarray(reduced.T), inside, outside @ outside
