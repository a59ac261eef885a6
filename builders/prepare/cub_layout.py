"""CUB_200_2011 as Caltech ships it: text files beside the folder of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from nogs_bench.builders.prepare.raw import Box
from nogs_bench.errors import NogsError
from nogs_bench.images import size_of
from nogs_bench.tasks.families.cub import ATTRIBUTES, IMAGES, PARTS
from nogs_bench.tasks.families.cub_species import SPECIES

T = TypeVar("T")


@dataclass(frozen=True)
class CubImages:
    """What CUB's text files say of its images, in the order of `images.txt`.

    - `paths`: below `images/`.
    - `is_training`: bool (n,).
    - `species`: int64 (n,), 0 .. 199.
    """

    paths: tuple[str, ...]
    is_training: np.ndarray
    species: np.ndarray


def read_images(folder: Path, count: int | None = IMAGES) -> CubImages:
    """`images.txt`, `train_test_split.txt`, `image_class_labels.txt` and `classes.txt`.

    `count` images are expected; None takes as many as there are. Raises `NogsError` with file and
    line where one is missing, out of order, or not CUB's.
    """
    if not folder.is_dir():
        raise NogsError(f"no such folder: {folder}; give the CUB_200_2011 folder")
    paths = tuple(_column(folder / "images.txt", count, str))
    for line, path in enumerate(paths, 1):
        if path.startswith("/") or ".." in path.split("/"):
            raise NogsError(f"{folder / 'images.txt'}, line {line}: {path!r} leaves the folder")
    count = len(paths)
    classes = [name.partition(".")[2] for name in _column(folder / "classes.txt", None, str)]
    if classes != list(SPECIES):
        raise NogsError(f"{folder / 'classes.txt'} does not list CUB-200-2011's 200 species")
    return CubImages(
        paths,
        np.array(list(_column(folder / "train_test_split.txt", count, within(0, 1))), bool),
        np.array(list(_column(folder / "image_class_labels.txt", count, within(1, 200)))) - 1,
    )


def read_boxes(folder: Path, count: int = IMAGES) -> np.ndarray:
    """float64 (n, 4) of `bounding_boxes.txt`: left, top, width, height in pixels."""
    path = folder / "bounding_boxes.txt"
    boxes = np.zeros((count, 4))
    for line, image, fields in _numbered(path, count):
        boxes[image] = _floats(fields, 4, path, line)
        if boxes[image, 2:].min() < 1:
            raise NogsError(f"{path}, line {line}: the box of image {image + 1} is empty")
    return boxes


def read_attributes(folder: Path, count: int = IMAGES) -> np.ndarray:
    """int64 (n, 312), 0 or 1, of `attributes/image_attribute_labels.txt`.

    Lines are image, attribute, present and more columns, whose number varies in CUB's own file;
    only the first three are read.
    """
    path = folder / "attributes" / "image_attribute_labels.txt"
    present = np.full((count, ATTRIBUTES), -1, np.int64)
    for line, fields in _lines(path):
        try:
            image, attribute, value = (int(field) for field in fields[:3])
        except ValueError as error:
            raise NogsError(f"{path}, line {line}: expected image, attribute, 0 or 1") from error
        if not (1 <= image <= count and 1 <= attribute <= ATTRIBUTES and value in (0, 1)):
            raise NogsError(f"{path}, line {line}: no such image, attribute or value")
        present[image - 1, attribute - 1] = value
    if (present < 0).any():
        image, attribute = np.argwhere(present < 0)[0] + 1
        raise NogsError(f"{path} lacks attribute {attribute} of image {image}; is it cut short?")
    return present


def read_parts(folder: Path, count: int = IMAGES) -> np.ndarray:
    """float64 (n, 15, 3) of `parts/part_locs.txt`: x, y in pixels, and 1 where visible."""
    path = folder / "parts" / "part_locs.txt"
    parts = np.full((count, len(PARTS), 3), np.nan)
    for line, fields in _lines(path):
        image, part, *place = _floats(fields, 5, path, line)
        if image not in range(1, count + 1) or part not in range(1, len(PARTS) + 1):
            raise NogsError(f"{path}, line {line}: no such image or part")
        parts[int(image) - 1, int(part) - 1] = place
    if np.isnan(parts).any():
        image, part = np.argwhere(np.isnan(parts).any(-1))[0] + 1
        raise NogsError(f"{path} lacks part {part} of image {image}; is it cut short?")
    return parts


def read_exclusions(path: Path, images: CubImages) -> list[int]:
    """Numbers (from 0) of the images that `path` lists, a path of `images.txt` or its name a line.

    Raises `NogsError` with the line for an image that CUB does not have, or that comes twice.
    """
    known = {name: number for number, name in enumerate(images.paths)}
    known |= {name.rpartition("/")[2]: number for name, number in known.items()}
    numbers: list[int] = []
    for line, fields in _lines(path, "give a list of images to leave out (--exclude)"):
        number = known.get(fields[0])
        if number is None or number in numbers:
            raise NogsError(f"{path}, line {line}: {fields[0]!r} is not in CUB, or repeated")
        numbers.append(number)
    return numbers


def _column(path: Path, count: int | None, convert: Callable[[str], T]) -> Iterator[T]:
    """The second field of every line, converted."""
    for line, _, fields in _numbered(path, count):
        try:
            (field,) = fields
            yield convert(field)
        except ValueError as error:
            raise NogsError(f"{path}, line {line}: {' '.join(fields)!r} is not allowed") from error


def within(low: int, high: int) -> Callable[[str], int]:
    """Reads an integer `low` .. `high`; it raises `ValueError` at anything else."""

    def convert(field: str) -> int:
        if not low <= int(field) <= high:
            raise ValueError(field)
        return int(field)

    return convert


def _numbered(path: Path, count: int | None) -> Iterator[tuple[int, int, list[str]]]:
    """Line, item (from 0) and its fields, of a file with one numbered item a line, from 1."""
    item = -1
    for item, (line, fields) in enumerate(_lines(path)):
        if fields[0] != str(item + 1):
            raise NogsError(f"{path}, line {line}: expected number {item + 1}, got {fields[0]!r}")
        yield line, item, fields[1:]
    if count is not None and item + 1 != count:
        raise NogsError(f"{path} has {item + 1:,} lines, expected {count:,}; is it cut short?")


def cut_boxes(
    cut: Callable[[np.ndarray, tuple[int, int]], Box], boxes: np.ndarray, paths: Sequence[Path]
) -> list[Box]:
    """`cut` of each image's bounding box and its size (width, height), in pixels.

    `boxes` is float64 (n, 4): left, top, width, height. Raises `NogsError`, with the
    photograph, for a box outside of it.
    """
    made = []
    for box, path in zip(boxes, paths, strict=True):
        size = size_of(path)
        left, top, right, bottom = crop = cut(box, size)
        if left >= right or top >= bottom:
            raise NogsError(
                f"{path}: a bounding box {box.tolist()} lies outside its image of {size}; take the "
                "photographs as Caltech has them"
            )
        made.append(crop)
    return made


def _floats(fields: list[str], count: int, path: Path, line: int) -> list[float]:
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise NogsError(f"{path}, line {line}: expected {count} numbers, got {' '.join(fields)!r}")
    return values


def _lines(
    path: Path, remedy: str = "give the whole CUB_200_2011 folder"
) -> Iterator[tuple[int, list[str]]]:
    if not path.is_file():
        raise NogsError(f"{path} is missing; {remedy}")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, 1):
            if fields := text.split():
                yield line, fields
