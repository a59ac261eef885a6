"""A task's images as files that processes share through the page cache."""

from __future__ import annotations

import json
import mmap
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import locked, naming_full_disk, read_array, repaired
from nogs_bench.images.labelled import LabelledImages

PREFIX, LOCK = "images-", "lock"


@contextmanager
def shared_images(splits: Mapping[str, LabelledImages], parent: Path) -> Iterator[Path]:
    """A temporary folder under `parent` that holds `splits` for `open_split`.

    Images that are memory-mapped from a file already are not copied: their place is noted.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix=PREFIX) as name,
        locked(Path(name, LOCK), "a new folder is in use"),
    ):
        for split, rows in splits.items():
            with naming_full_disk(Path(name)):
                _keep(Path(name), split, rows)
        yield Path(name)


def _keep(folder: Path, split: str, rows: LabelledImages) -> None:
    place = _place(rows.images)
    if place is None:
        np.save(folder / f"{split}.images.npy", rows.images)
    else:
        (folder / f"{split}.images.json").write_text(json.dumps(place))
    np.save(folder / f"{split}.labels.npy", rows.labels)


def sweep_store(parent: Path) -> bool:
    """Remove stores whose process was killed. Whether no other process has one there."""
    stores = stores_in(parent)
    left = [path for path in stores if not _in_use(path)]
    for path in left:
        shutil.rmtree(path)
    repaired(left, "left by a call that was killed: removed")
    return len(left) == len(stores)


def stores_in(parent: Path) -> list[Path]:
    """The folders of `shared_images` under `parent`, of whatever process."""
    return [path for path in sorted(parent.glob(f"{PREFIX}*")) if path.is_dir()]


def check_unused(store: Path, busy: str) -> None:
    """Raise `NogsError`, `busy` and whose it is, if another process has the store."""
    with locked(store / LOCK, busy):
        pass


def _in_use(store: Path) -> bool:
    try:
        check_unused(store, str(store))
    except NogsError:
        return True
    return False


def open_split(folder: Path, split: str) -> LabelledImages:
    """A split of the store: memory-mapped, and written to only in the process's own copy."""
    # The mode "c" makes arrays that torch accepts as writable without a copy.
    noted, labels = folder / f"{split}.images.json", read_array(folder / f"{split}.labels.npy")
    if noted.is_file():
        place = json.loads(noted.read_text())
        shape = tuple(place["shape"])
        images: np.ndarray = np.memmap(place["file"], np.uint8, "c", place["offset"], shape)
    else:
        images = read_array(folder / f"{split}.images.npy", "c")
    return LabelledImages(images, labels)


def picked(images: LabelledImages, rows: np.ndarray) -> LabelledImages:
    """The images `rows`, int64 (n,). Those of a memory-mapped file stay there: see `Picked`."""
    if mapping_of(images.images) is None:
        return images[rows]
    return LabelledImages(cast(np.ndarray, Picked(images.images, rows)), images.labels[rows])


class Picked:
    """Some images of a memory-mapped file, in any order, read when they are asked for.

    Indexed along the first dimension, by a number, a slice or an integer array, it gives an array
    in memory, as the array does that it stands for; slices of further dimensions, in a tuple, read
    that part. `np.asarray` reads all.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, images: np.ndarray, rows: np.ndarray):
        self._images, self._rows = images, rows
        self.shape = (len(rows), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | slice | np.ndarray | tuple[Any, ...]) -> np.ndarray:
        rows, *part = index if isinstance(index, tuple) else (index,)
        found: np.ndarray = self._images[(self._rows[rows], *part)]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def mapping_of(images: np.ndarray) -> mmap.mmap | None:
    """The mapping that holds an array's pixels; None if they are in memory."""
    holder: object = images
    while isinstance(holder, np.ndarray):
        holder = holder.base
    return holder if isinstance(holder, mmap.mmap) else None


def _place(images: np.ndarray) -> dict[str, object] | None:
    """File, offset in bytes and shape of a contiguous part of a memory-mapped file."""
    whole: object = images
    while isinstance(whole, np.ndarray) and isinstance(whole.base, np.ndarray):
        whole = whole.base
    if not isinstance(whole, np.memmap) or not images.flags.c_contiguous:
        return None
    begin = images.ctypes.data - whole.ctypes.data
    return {
        "file": str(Path(str(whole.filename)).resolve()),
        "offset": whole.offset + begin,
        "shape": list(images.shape),
    }
