"""Principal components of a bank (appendix A.3.3, equations 14 to 16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits

from nogs_bench.builders.completion.passes import PIECE_PIXELS, Here, Passes, Piece
from nogs_bench.files import Arrays

# Images with more pixels have too large a covariance; their components are found by iteration.
EXACT_PIXELS = 4096
FIT_IMAGES, EXTRA_COMPONENTS, PASSES = 20_000, 16, 3
# Pixels that a batch may hold (1 GiB as float32), and latents that stay float32 (1 GiB).
BATCH_PIXELS, FLOAT32_LATENTS = 1 << 28, 1 << 28


@dataclass(frozen=True)
class Pca:
    """`image ~ mean + latents @ basis`, pixel values in 0 .. 1.

    - `mean`: float32 (pixels,). - `basis`: float32 (components, pixels), orthonormal rows (W).
    - `latents`: float32 or float16 (bank, components) (z).
    - `explained`: float32 (), share of the bank's variance that the latents hold.
    - `rounding`: float32 (), root mean square error of a reconstructed pixel, in 0 .. 1, that
      storing the latents as float16 makes; 0 for float32.
    """

    mean: np.ndarray
    basis: np.ndarray
    latents: np.ndarray
    explained: np.ndarray
    rounding: np.ndarray

    def latents_of(self, image: np.ndarray) -> np.ndarray:
        """float32 (components,): W I about the mean (equation 14), of a uint8 image."""
        return self.basis @ (image.reshape(-1).astype(np.float32) / 255 - self.mean)

    def reconstruct(self, image: np.ndarray) -> np.ndarray:
        """float32 (pixels,): W^T W I about the mean, of a uint8 image of any shape."""
        return self.mean + self.latents_of(image) @ self.basis

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file(dict(vars(self)), path)

    @classmethod
    def load(cls, path: Path) -> Pca:
        return cls(**load_file(path))


def fit_pca(
    images: np.ndarray,
    components: int,
    latents: type[np.floating] | None = None,
    exact: bool | None = None,
    passes: Passes | None = None,
) -> Pca:
    """The leading components of uint8 images (n, ...), which are read in a stream.

    With `exact`, the eigenvectors of the covariance of all images; else a block power iteration
    (Halko et al. 2011, algorithm 4.4) over at most `FIT_IMAGES` of them, evenly spaced, which
    never holds more than `components + 16` vectors of pixels and one batch of images. Default:
    exact up to `EXACT_PIXELS` pixels. `latents`: `np.float32` or `np.float16` (default: float32
    up to 1 GiB of them). Rows of the basis have their largest entry positive, so that the result
    is unique. At most as many components as pixels or images. `passes`: who goes over the images
    (default: this process); changes no byte. Computes on one thread, as sums over images must not
    depend on how many there are.
    """
    passes = passes or Here(images)
    pixels = images[0].size
    components = min(components, pixels, len(images))
    exact = pixels <= EXACT_PIXELS if exact is None else exact
    with threadpool_limits(1, "blas"):
        if exact:
            mean, basis = _covariance_basis(passes, len(images), pixels)
        else:
            mean, basis = _iterated_basis(passes, len(images), pixels, components)
        basis = basis[:components]
        largest = np.abs(basis).argmax(1)
        basis = basis * np.sign(basis[np.arange(len(basis)), largest])[:, None]
        mean, basis = mean.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32)
        if latents is None:
            latents = np.float32 if len(images) * components <= FLOAT32_LATENTS else np.float16
        return _project(passes, len(images), mean, basis, np.dtype(latents))


def pieces_of(count: int, pixels: int) -> list[Piece]:
    """All images, in pieces of whole batches."""
    size = _batch_size(pixels)
    size *= max(1, PIECE_PIXELS // (size * pixels))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def fitting_pieces(count: int, pixels: int) -> list[Piece]:
    """At most `FIT_IMAGES` images, evenly spaced, a batch a piece."""
    size, fitted = _batch_size(pixels), min(count, FIT_IMAGES)
    chosen = np.linspace(0, count - 1, fitted).astype(np.int64)
    return [chosen[start : start + size] for start in range(0, fitted, size)]


def _project(
    passes: Passes, count: int, mean: np.ndarray, basis: np.ndarray, dtype: np.dtype
) -> Pca:
    """Every image's latents, and what they lose."""
    stored, start = np.empty((count, len(basis)), dtype), 0
    kept = lost = total = 0.0
    given = {"mean": mean, "basis": basis, "dtype": np.empty(0, dtype)}
    for found in passes("projection", _projected, pieces_of(count, len(mean)), given):
        stored[start : start + len(found["latents"])] = found["latents"]
        start += len(found["latents"])
        for batch in found["squares"].tolist():
            total, kept, lost = total + batch[0], kept + batch[1], lost + batch[2]
    explained = np.array(kept / total if total else 1, np.float32)
    # The basis is orthonormal: an error of the latents is as long as that of the pixels.
    rounding = np.array(np.sqrt(lost / count / len(mean)), np.float32)
    return Pca(mean, basis, stored, explained, rounding)


def _projected(images: np.ndarray, piece: Piece, given: Arrays) -> dict[str, np.ndarray]:
    """Latents, and of each batch the squares of pixels, of latents, and of their rounding."""
    latents, squares = [], []
    for rows in _batches(images, piece):
        centred = rows - given["mean"]
        exact = centred @ given["basis"].T
        latents.append(exact.astype(given["dtype"].dtype))
        parts = centred, exact, exact - latents[-1]
        squares.append([np.square(part).sum(dtype=np.float64) for part in parts])
    return {"latents": np.concatenate(latents), "squares": np.array(squares)}


def _covariance_basis(passes: Passes, count: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (pixels,) and all eigenvectors (pixels, pixels) of the covariance, largest first."""
    total, outer = np.zeros(pixels), np.zeros((pixels, pixels))
    for found in passes("moments", _moments, pieces_of(count, pixels), {}):
        total += found["total"]
        outer += found["outer"]
    mean = total / count
    covariance = outer / count - np.outer(mean, mean)
    return mean, np.linalg.eigh(covariance)[1].T[::-1]


def _moments(images: np.ndarray, piece: Piece, given: Arrays) -> dict[str, np.ndarray]:
    pixels = images[0].size
    total, outer = np.zeros(pixels), np.zeros((pixels, pixels))
    for rows in _batches(images, piece):
        total += rows.sum(0, dtype=np.float64)
        outer += rows.T @ rows
    return {"total": total, "outer": outer}


def _iterated_basis(
    passes: Passes, count: int, pixels: int, components: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (pixels,) and leading eigenvectors (components + a few, pixels), approximately."""
    pieces, fitted = fitting_pieces(count, pixels), min(count, FIT_IMAGES)
    total = np.zeros(pixels)
    for found in passes("mean", _total, pieces, {}):
        total += found["total"]
    mean = total / fitted
    width = min(components + EXTRA_COMPONENTS, pixels, fitted)
    block = np.random.default_rng(0).standard_normal((pixels, width)).astype(np.float32)
    for number in range(PASSES):
        block = np.linalg.qr(block)[0]
        product = np.zeros((pixels, width), np.float32)
        given = {"mean": mean.astype(np.float32), "block": block}
        for found in passes(f"iteration-{number}", _power, pieces, given):
            product += found["product"]
        block, before = product, block
    # Rayleigh-Ritz on the last block: its covariance is `before^T product`.
    values = before.T.astype(np.float64) @ product
    turn = np.linalg.eigh((values + values.T) / 2)[1][:, ::-1]
    return mean, (before @ turn.astype(np.float32)).T


def _total(images: np.ndarray, piece: Piece, given: Arrays) -> dict[str, np.ndarray]:
    return {"total": _floats(images[piece]).sum(0, dtype=np.float64)}


def _power(images: np.ndarray, piece: Piece, given: Arrays) -> dict[str, np.ndarray]:
    """The covariance of a piece times the block."""
    centred = _floats(images[piece]) - given["mean"]
    return {"product": centred.T @ (centred @ given["block"])}


def _batch_size(pixels: int) -> int:
    return max(1, min(2048, BATCH_PIXELS // pixels))


def _batches(images: np.ndarray, piece: Piece) -> Iterator[np.ndarray]:
    """Consecutive rows of a piece as float32 (k, pixels) in 0 .. 1."""
    assert isinstance(piece, slice)
    size = _batch_size(images[0].size)
    for start in range(piece.start, piece.stop, size):
        yield _floats(images[start : min(start + size, piece.stop)])


def _floats(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
