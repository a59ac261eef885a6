"""CelebA's and CelebA-HQ's attribute files: 40 labels of -1 or 1 for each image."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES, IMAGES

_VALUES = {"-1": 0, "1": 1}
# The first line of Kaggle's file, the second of the authors'.
HEADERS = [["image_id", *ATTRIBUTES], list(ATTRIBUTES)]


def read_attributes(
    path: Path, count: int = IMAGES, first: int = 0, of_more: bool = False
) -> np.ndarray:
    """int64 (count, 40), 0 or 1, row i those of image number `first` + i.

    Reads the authors' file (`000000.png` and 40 numbers a line), CelebAMask-HQ's
    `CelebAMask-HQ-attribute-anno.txt` and CelebA's `list_attr_celeba.txt` (the same after a line
    with the count and one with the attributes' names), plain or gzipped; or Kaggle's
    `list_attr_celeba.csv`, with commas and one line of names. With `of_more`, images may follow
    the first `count`, and are not read. Raises `NogsError` with file and line for a line
    that is not the next image's, and if there are not `count` images.
    """
    labels = np.full((count, len(ATTRIBUTES)), -1, np.int64)
    number = 0
    for line, fields in _lines(path):
        if line == 1 and len(fields) == 1 and (of_more or fields == [str(count)]):
            continue
        if number == 0 and fields in HEADERS[line - 1 : line]:
            continue
        where = f"{path}, line {line}"
        if number == count and of_more:
            break
        if number == count:
            raise NogsError(f"{where}: more than {count:,} images; give the file of these images")
        if len(fields) != 1 + len(ATTRIBUTES) or not set(fields[1:]) <= _VALUES.keys():
            raise NogsError(f"{where}: expected an image and 40 values of -1 or 1")
        stem = fields[0].partition(".")[0]
        if not stem.isdecimal() or int(stem) != first + number:
            raise NogsError(f"{where}: expected image number {first + number}, got {fields[0]!r}")
        labels[number] = [_VALUES[value] for value in fields[1:]]
        number += 1
    if number != count:
        raise NogsError(f"{path} has {number:,} images, expected {count:,}; is it cut short?")
    return labels


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    if not path.is_file():
        raise NogsError(f"no label file {path}; give the attributes with --labels FILE")
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield line, text.replace(",", " ").split()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NogsError(f"{path} is damaged ({error}); get it again") from error
