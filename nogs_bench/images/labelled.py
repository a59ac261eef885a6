"""Labelled images in memory, and where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json, fetched, is_url

DIGESTED_AT_ONCE = 512


class BadRows(NogsError):
    """Arrays that are no labelled images."""


@dataclass(frozen=True)
class LabelledImages:
    """Images and their labels.

    - `images`: uint8 (n, channels, image_size, image_size).
    - `labels`: int64 (n, number of the family's labels).
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        for name in ("images", "labels"):
            array = getattr(self, name)
            if not hasattr(array, "dtype") or not hasattr(array, "ndim"):
                raise BadRows(f"{name} must be a numpy array, got a {type(array).__name__}")
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise BadRows(
                f"images must be uint8 (n, channels, height, width), got {self.images.dtype} "
                f"{tuple(self.images.shape)}"
            )
        if self.labels.ndim != 2 or len(self.labels) != len(self.images):
            raise BadRows(
                f"labels must be integers (n, labels), got {self.labels.dtype} "
                f"{tuple(self.labels.shape)} for {len(self.images)} images"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | np.ndarray) -> LabelledImages:
        return LabelledImages(self.images[rows], self.labels[rows])

    def digest(self) -> str:
        """sha256 of shapes, pixels and labels."""
        state = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        for start in range(0, len(self), DIGESTED_AT_ONCE):
            part = self.images[start : start + DIGESTED_AT_ONCE]
            state.update(np.ascontiguousarray(part).data)
        state.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return state.hexdigest()


def joined(parts: Iterable[LabelledImages]) -> LabelledImages:
    """One after the other."""
    every = list(parts)
    return LabelledImages(
        np.concatenate([part.images for part in every]),
        np.concatenate([part.labels for part in every]),
    )


def digest_of_splits(splits: Iterable[tuple[str, LabelledImages]]) -> str:
    """sha256 of all splits of a task's images by name, as results record it (`images`)."""
    return digest_json({name: rows.digest() for name, rows in splits})


def first_copies(images: np.ndarray) -> np.ndarray:
    """int64 (n,): for each of images (n, ...) the number of the first one with the same pixels."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(picture_digest(image), n) for n, image in enumerate(images)])


def picture_digest(pixels: np.ndarray) -> str:
    """sha256 of one image, uint8 (channels, height, width): of its shape and pixels."""
    state = hashlib.sha256(repr(pixels.shape).encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()


class ImageSource(Protocol):
    """Where a task's images come from."""

    @property
    def summary(self) -> str:
        """One line: what the images are and how to get them."""
        ...

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        """All images of `split` ("train", "validation", "test" or "avp_validation").

        `data` is the folder the user named, if any. Raises `NogsError` with what to do if the
        images are missing or not what the task says.
        """
        ...


@runtime_checkable
class Sampler(Protocol):
    """A source that can also draw from p(image, label) without end."""

    def sample(
        self, stream: str, start: int, count: int, data: Path | None = None
    ) -> LabelledImages:
        """Images `start .. start + count - 1` of the independent stream called `stream`.

        `data` is the folder the user named, if any. An image depends on its stream and number
        alone, not on the range it is asked for in.
        """
        ...


def data_folder(data: str | Path | None) -> Path | None:
    """`data` as a path that exists, or None; a place in a store is copied to this machine first.

    Raises `NogsError` if it does not exist.
    """
    if data is None:
        return None
    if is_url(data):
        return fetched(str(data))
    path = Path(data)
    if not path.is_dir():
        raise NogsError(f"--data {path} is not a folder; give the folder that holds the images")
    return path
