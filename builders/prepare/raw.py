"""Images as others publish them, in chunks that a worker process can read by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from nogs_bench.errors import NogsError
from nogs_bench.files import read_array
from nogs_bench.images import file_state, read_picture, shown, squared, stretched

PER_CHUNK = 64
Box = tuple[int, int, int, int]


class Chunk(Protocol):
    """Some images, small enough to be held in memory together."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Where each image goes in the prepared array."""
        ...

    def describe(self) -> str:
        """What the chunk is made from, so that another source gives another text."""
        ...

    def read(self, size: int) -> Iterator[np.ndarray]:
        """uint8 (3, size, size), in the order of `rows`; `NogsError` names the one that is bad."""
        ...


@dataclass(frozen=True)
class FileChunk:
    """Image files (whatever Pillow reads, or .npy of one image), each cut to its box if given."""

    rows: tuple[int, ...]
    paths: tuple[Path, ...]
    boxes: tuple[Box, ...] | None = None

    def describe(self) -> str:
        # Not the time that the file itself was changed: a copy of the folder would have another.
        files = [(path.name, *file_state(path)[:2]) for path in self.paths]
        return repr([*files, self.boxes])

    def read(self, size: int) -> Iterator[np.ndarray]:
        for number, path in enumerate(self.paths):
            # Boxes are in pixels of the file as it is stored.
            picture = (
                shown(read_npy(path), 3)
                if path.suffix.lower() == ".npy"
                else read_picture(path, 3, upright=self.boxes is None)
            )
            if self.boxes:
                yield stretched(picture.crop(self.boxes[number]), size)
            else:
                yield squared(picture, size)


@dataclass(frozen=True)
class ParquetChunk:
    """A row group of a Hub mirror, whose column `image` holds encoded files."""

    rows: tuple[int, ...]
    path: Path
    group: int

    def describe(self) -> str:
        return repr((self.path.name, *file_state(self.path)[:2], self.group, self.rows))

    def read(self, size: int) -> Iterator[np.ndarray]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path)
            column = file.read_row_group(self.group, columns=["image"])["image"]
        except (pa.ArrowException, OSError) as error:
            raise NogsError(f"{self.path} is damaged ({error}); get it again") from error
        for number, cell in enumerate(column):
            where = f"{self.path}, row group {self.group}, row {number}"
            value = cell.as_py() or {}
            yield squared(read_picture(value.get("bytes") or b"", 3, where), size)


def in_chunks(
    rows: Sequence[int], paths: Sequence[Path], boxes: Sequence[Box] | None = None
) -> list[FileChunk]:
    """`FileChunk`s of 64 files."""
    return [
        FileChunk(
            tuple(rows[start : start + PER_CHUNK]),
            tuple(paths[start : start + PER_CHUNK]),
            None if boxes is None else tuple(boxes[start : start + PER_CHUNK]),
        )
        for start in range(0, len(paths), PER_CHUNK)
    ]


def image_number(name: str) -> int | None:
    """The number at the end of a file's name before its suffix: "imgHQ00017.npy" -> 17."""
    match = re.search(r"(\d+)\.[^./\\]+$", name)
    return int(match[1]) if match else None


def read_npy(path: Path) -> Image.Image:
    """A .npy of one RGB image, uint8 (h, w, 3), (3, h, w) or (1, 3, h, w); never unpickled."""
    array = read_array(path)
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[0] == 3 != array.shape[2]:
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise NogsError(f"{path} holds {array.dtype} {array.shape}, not one uint8 RGB image")
    return Image.fromarray(np.ascontiguousarray(array))
