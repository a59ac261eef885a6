"""Decode and resize many images in parallel into one array on disk, resumably."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from nogs_bench.builders.prepare.raw import Chunk
from nogs_bench.errors import NogsError
from nogs_bench.executors import Crew, open_executor
from nogs_bench.files import digest_json, naming_full_disk, replacing, take_room, write_json
from nogs_bench.images import open_array, quietly
from nogs_bench.progress import progress_bars


def decode_images(
    chunks: Sequence[Chunk], size: int, folder: Path, workers: int | None = None
) -> Path:
    """Write the images of all chunks to `folder/images.npy`, uint8 (n, 3, size, size).

    The chunks' `rows` cover 0 .. n - 1 once. Runs in `workers` processes (default: one a core). A
    chunk that is done leaves its digest in `folder/chunks`; called again, only chunks whose pixels
    are not there, or not as they were, are decoded. Raises `NogsError` for an image that is bad.
    """
    count = sum(len(chunk.rows) for chunk in chunks)
    images, notes = folder / "images.npy", folder / "chunks"
    notes.mkdir(parents=True, exist_ok=True)
    offset = _allocate(images, (count, 3, size, size))
    jobs = [
        _Job(chunk, size, images, offset, notes / f"{number}.json")
        for number, chunk in enumerate(chunks)
    ]
    with progress_bars() as bars:
        bar = bars.add_task("images", total=count, note="")
        for _, done in open_executor("local", Crew(workers)).run(_decoding, jobs):
            bars.advance(bar, done)
    return images


@dataclass(frozen=True)
class _Job:
    """One chunk, decoded in a worker straight to its place in the array on disk."""

    chunk: Chunk
    size: int
    images: Path
    offset: int
    note: Path

    def run(self) -> int:
        """Number of images now in place."""
        if not self._is_done():
            digests = []
            with naming_full_disk(self.images), self.images.open("r+b") as file, quietly():
                images = self.chunk.read(self.size)
                for row, image in zip(self.chunk.rows, images, strict=True):
                    pixels = image.tobytes()
                    file.seek(self.offset + row * len(pixels))
                    file.write(pixels)
                    digests.append(sha256(pixels).hexdigest())
            write_json(self.note, {"chunk": self.chunk.describe(), "digest": digest_json(digests)})
        return len(self.chunk.rows)

    def _is_done(self) -> bool:
        if not self.note.is_file():
            return False
        length = 3 * self.size**2
        digests = []
        with self.images.open("rb") as file:
            for row in self.chunk.rows:
                file.seek(self.offset + row * length)
                digests.append(sha256(file.read(length)).hexdigest())
        expected = {"chunk": self.chunk.describe(), "digest": digest_json(digests)}
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
        except ValueError:
            return False
        return bool(noted == expected)


def _decoding() -> Callable[[_Job], int]:
    return _Job.run


def _allocate(path: Path, shape: tuple[int, ...]) -> int:
    """Make a uint8 .npy of `shape` unless it is there; returns at which byte its data begins."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    if not _is_there(path, shape):
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            take_room(file, file.tell() + int(np.prod(shape)), path)
    return path.stat().st_size - int(np.prod(shape))


def _is_there(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        return open_array(path).shape == shape
    except NogsError:
        return False
