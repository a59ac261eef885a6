"""The authors' released sequences, read from a folder or a tar without unpacking it.

The files are `celebhq/ATTRIBUTE/IMAGE.txt`, five lines `row, col`, and `birds/IMAGE.txt`, five
such lines and one with the path of the image. A name only says which sequence a file is: nothing
is written under it, and links are refused.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.tasks import GlimpseGrid, Task
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ
from nogs_bench.tasks.families.cub import CUB, IMAGES

_LARGEST = 4096
_LOCATION = re.compile(r"(\d{1,4}), ?(\d{1,4})")
_CELEBA = re.compile(r"(?:.*/)?celebhq/(\d{1,9})/(\d{1,9})\.txt")
_BIRD = re.compile(r"(?:.*/)?birds/(\d{1,9})\.txt")
_BIRD_IMAGE = re.compile(r"(?:.*/)?(\d{1,9})\.png")


@dataclass(frozen=True)
class ReleasedSequences:
    """Everything in the archive.

    - `celeba`: int64 (40, 600, 5, 2), pixel locations by attribute and image.
    - `birds`: int64 (1000, 5, 2).
    - `bird_images`: int64 (1000,), the number of each bird's image: its line in CUB's
      `images.txt`, from 0.
    """

    celeba: np.ndarray
    birds: np.ndarray
    bird_images: np.ndarray


def count_released() -> int:
    """How many sequences the release holds."""
    return len(CELEBA_HQ) * CELEBA_HQ[0].annotation.images + CUB.annotation.images


def read_released(
    archive: Path, advance: Callable[[int], None] = lambda count: None
) -> ReleasedSequences:
    """Read and check all sequences of `archive`, a folder or a tar (plain or compressed).

    `advance(1)` is called after each. Every location must be on its task's grid. Raises
    `NogsError` with file and line for what is not, for a sequence that is there twice, and for
    the first that is missing.
    """
    celeba = _empty(CELEBA_HQ[0], len(CELEBA_HQ))
    birds = _empty(CUB, 1)[0]
    bird_images = np.full(len(birds), -1, np.int64)
    for name, content in _members(archive):
        where = f"{archive}: {name}"
        if match := _CELEBA.fullmatch(name):
            attribute, image = (int(group) for group in match.groups())
            place = _free_place(celeba, (attribute, image), where)
            place[:] = _locations(_text_lines(content, 5, where), CELEBA_HQ[0].grid, where)
            advance(1)
        elif match := _BIRD.fullmatch(name):
            lines = _text_lines(content, 6, where)
            place = _free_place(birds, (int(match[1]),), where)
            place[:] = _locations(lines[:5], CUB.grid, where)
            bird_images[int(match[1])] = _bird_image(lines[5], where)
            advance(1)
    _refuse_missing(celeba, archive, "celebhq")
    _refuse_missing(birds, archive, "birds")
    numbers, counts = np.unique(bird_images, return_counts=True)
    if (counts > 1).any():
        raise NogsError(f"{archive}: image {numbers[counts > 1][0]}.png has two sequences in birds")
    return ReleasedSequences(celeba, birds, bird_images)


def _empty(task: Task, tasks: int) -> np.ndarray:
    return np.full((tasks, task.annotation.images, task.T, 2), -1, np.int64)


def _free_place(table: np.ndarray, key: tuple[int, ...], where: str) -> np.ndarray:
    sizes = table.shape[: len(key)]
    if any(number >= size for number, size in zip(key, sizes, strict=True)):
        last = "/".join(str(size - 1) for size in sizes)
        raise NogsError(f"{where}: no such sequence is known; the last is {last}.txt")
    if (table[key] >= 0).any():
        raise NogsError(f"{where}: this sequence is in the archive twice")
    return table[key]


def _text_lines(content: bytes, count: int, where: str) -> list[str]:
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise NogsError(f"{where}, line {line}: not plain text; get the archive again") from error
    if len(lines) != count:
        raise NogsError(f"{where}, line {len(lines)}: {len(lines)} lines, expected {count}")
    return lines


def _locations(lines: list[str], grid: GlimpseGrid, where: str) -> list[tuple[int, int]]:
    locations = []
    for number, line in enumerate(lines, 1):
        match = _LOCATION.fullmatch(line.strip())
        if not match:
            raise NogsError(f"{where}, line {number}: expected 'row, col', got {line[:40]!r}")
        row, col = int(match[1]), int(match[2])
        if row not in grid.rows or col not in grid.cols:
            raise NogsError(
                f"{where}, line {number}: location ({row}, {col}) is off the grid; nearest is "
                f"{grid.nearest((row, col))}"
            )
        locations.append((row, col))
    return locations


def _bird_image(line: str, where: str) -> int:
    match = _BIRD_IMAGE.fullmatch(line.strip())
    if not match or int(match[1]) >= IMAGES:
        raise NogsError(
            f"{where}, line 6: expected an image 0.png .. {IMAGES - 1}.png, got {line[:80]!r}"
        )
    return int(match[1])


def _refuse_missing(table: np.ndarray, archive: Path, folder: str) -> None:
    missing = np.argwhere((table < 0).any(axis=(-1, -2)))
    if len(missing):
        name = "/".join(str(number) for number in missing[0])
        raise NogsError(
            f"{archive}: {folder}/{name}.txt is missing, and {len(missing) - 1:,} others are; get "
            "the whole archive"
        )


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each sequence's file, in the archive's order."""
    if not archive.exists():
        raise NogsError(f"no such archive: {archive}; give the released sequences, folder or tar")
    yield from (_folder_members if archive.is_dir() else _tar_members)(archive)


def _folder_members(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*.txt")):
        name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        if _is_sequence(name):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
                raise NogsError(f"{path} is not a sequence's file: a link, a folder or too long")
            yield name, path.read_bytes()


def _tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = PurePosixPath(member.name).as_posix()
                if not _is_sequence(name):
                    continue
                file = tar.extractfile(member) if member.isreg() else None
                if file is None or member.size > _LARGEST:
                    raise NogsError(f"{path}: {name} is not a sequence's file: a link or too long")
                yield name, file.read()
            # A compressed file's checksum comes last, and is only looked at there.
            while tar.fileobj is not None and tar.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise NogsError(f"{path} is no tar or is damaged ({error}); get it again") from error


def _is_sequence(name: str) -> bool:
    return bool(_CELEBA.fullmatch(name) or _BIRD.fullmatch(name))
