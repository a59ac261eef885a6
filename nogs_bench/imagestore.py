"""A task's images as files that processes share through the page cache."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nogs_bench.images import LabelledImages


@contextmanager
def shared_images(splits: Mapping[str, LabelledImages], parent: Path) -> Iterator[Path]:
    """A temporary folder under `parent` that holds `splits` for `open_split`."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="images-") as name:
        for split, rows in splits.items():
            np.save(Path(name, f"{split}.images.npy"), rows.images)
            np.save(Path(name, f"{split}.labels.npy"), rows.labels)
        yield Path(name)


def open_split(folder: Path, split: str) -> LabelledImages:
    """A split of the store: memory-mapped, and written to only in the process's own copy."""
    # The mode "c" makes arrays that torch accepts as writable without a copy.
    images = np.load(folder / f"{split}.images.npy", mmap_mode="c", allow_pickle=False)
    labels = np.load(folder / f"{split}.labels.npy", allow_pickle=False)
    return LabelledImages(images, labels)
