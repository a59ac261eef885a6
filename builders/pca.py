"""Principal components of a bank (appendix A.3.3, equations 14 to 16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

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
) -> Pca:
    """The leading components of uint8 images (n, ...), which are read in a stream.

    With `exact`, the eigenvectors of the covariance of all images; else a block power iteration
    (Halko et al. 2011, algorithm 4.4) over at most `FIT_IMAGES` of them, evenly spaced, which
    never holds more than `components + 16` vectors of pixels and one batch of images. Default:
    exact up to `EXACT_PIXELS` pixels. `latents`: `np.float32` or `np.float16` (default: float32
    up to 1 GiB of them). Rows of the basis have their largest entry positive, so that the result
    is unique. At most as many components as pixels or images.
    """
    pixels = images[0].size
    components = min(components, pixels, len(images))
    exact = pixels <= EXACT_PIXELS if exact is None else exact
    mean, basis = _covariance_basis(images) if exact else _iterated_basis(images, components)
    basis = basis[:components]
    largest = np.abs(basis).argmax(1)
    basis = basis * np.sign(basis[np.arange(len(basis)), largest])[:, None]
    mean, basis = mean.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32)
    if latents is None:
        latents = np.float32 if len(images) * components <= FLOAT32_LATENTS else np.float16
    return _project(images, mean, basis, np.dtype(latents))


def _project(images: np.ndarray, mean: np.ndarray, basis: np.ndarray, dtype: np.dtype) -> Pca:
    """Every image's latents, and what they lose."""
    stored = np.empty((len(images), len(basis)), dtype)
    kept = lost = total = 0.0
    for start, rows in _batches(images):
        centred = rows - mean
        exact = centred @ basis.T
        part = stored[start : start + len(rows)]
        part[:] = exact
        total += float(np.square(centred).sum(dtype=np.float64))
        kept += float(np.square(exact).sum(dtype=np.float64))
        lost += float(np.square(exact - part).sum(dtype=np.float64))
    explained = np.array(kept / total if total else 1, np.float32)
    # The basis is orthonormal: an error of the latents is as long as that of the pixels.
    rounding = np.array(np.sqrt(lost / len(images) / len(mean)), np.float32)
    return Pca(mean, basis, stored, explained, rounding)


def _covariance_basis(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (pixels,) and all eigenvectors (pixels, pixels) of the covariance, largest first."""
    pixels = images[0].size
    total, outer = np.zeros(pixels), np.zeros((pixels, pixels))
    for _, rows in _batches(images):
        total += rows.sum(0, dtype=np.float64)
        outer += rows.T @ rows
    mean = total / len(images)
    covariance = outer / len(images) - np.outer(mean, mean)
    return mean, np.linalg.eigh(covariance)[1].T[::-1]


def _iterated_basis(images: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (pixels,) and leading eigenvectors (components + a few, pixels), approximately."""
    pixels, count = images[0].size, min(len(images), FIT_IMAGES)
    chosen = np.linspace(0, len(images) - 1, count).astype(np.int64)
    size = _batch_size(pixels)
    batches = [chosen[start : start + size] for start in range(0, count, size)]
    mean = sum(_floats(images[rows]).sum(0, dtype=np.float64) for rows in batches) / count
    width = min(components + EXTRA_COMPONENTS, pixels, count)
    block = np.random.default_rng(0).standard_normal((pixels, width)).astype(np.float32)
    for _ in range(PASSES):
        block = np.linalg.qr(block)[0]
        product = np.zeros((pixels, width), np.float32)
        for rows in batches:
            centred = _floats(images[rows]) - mean.astype(np.float32)
            product += centred.T @ (centred @ block)
        block, before = product, block
    # Rayleigh-Ritz on the last block: its covariance is `before^T product`.
    values = before.T.astype(np.float64) @ product
    turn = np.linalg.eigh((values + values.T) / 2)[1][:, ::-1]
    return mean, (before @ turn.astype(np.float32)).T


def _batch_size(pixels: int) -> int:
    return max(1, min(2048, BATCH_PIXELS // pixels))


def _batches(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Consecutive rows as float32 (k, pixels) in 0 .. 1, with the first one's number."""
    size = _batch_size(images[0].size)
    for start in range(0, len(images), size):
        yield start, _floats(images[start : start + size])


def _floats(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
