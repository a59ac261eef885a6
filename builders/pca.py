"""Principal components of a bank (appendix A.3.3, equations 14 to 16)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Pca:
    """`image ~ mean + latents @ basis`, pixel values in 0 .. 1.

    - `mean`: float32 (pixels,). - `basis`: float32 (components, pixels), orthonormal rows (W).
    - `latents`: float32 (bank, components) (z).
    """

    mean: np.ndarray
    basis: np.ndarray
    latents: np.ndarray

    def reconstruct(self, image: np.ndarray) -> np.ndarray:
        """float32 (pixels,): W^T W I about the mean, of a uint8 image of any shape."""
        centred = image.reshape(-1).astype(np.float32) / 255 - self.mean
        return self.mean + (self.basis @ centred) @ self.basis

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file({"mean": self.mean, "basis": self.basis, "latents": self.latents}, path)

    @classmethod
    def load(cls, path: Path) -> Pca:
        return cls(**load_file(path))


def fit_pca(images: np.ndarray, components: int) -> Pca:
    """The leading components of uint8 images (n, ...), from the covariance, summed in a stream.

    Rows of the basis have their largest entry positive, so that the result is unique. At most as
    many components as pixels.
    """
    pixels = images[0].size
    total, outer = np.zeros(pixels), np.zeros((pixels, pixels))
    starts = range(0, len(images), ROWS_AT_ONCE)
    for start in starts:
        rows = _floats(images, start)
        total += rows.sum(0, dtype=np.float64)
        outer += rows.T @ rows
    mean = total / len(images)
    covariance = outer / len(images) - np.outer(mean, mean)
    basis = np.linalg.eigh(covariance)[1].T[::-1][:components]
    largest = np.abs(basis).argmax(1)
    basis = basis * np.sign(basis[np.arange(len(basis)), largest])[:, None]
    mean, basis = mean.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32)
    latents = [(_floats(images, start) - mean) @ basis.T for start in starts]
    return Pca(mean, basis, np.concatenate(latents))


def _floats(images: np.ndarray, start: int) -> np.ndarray:
    rows = images[start : start + ROWS_AT_ONCE]
    return rows.reshape(len(rows), -1).astype(np.float32) / 255
