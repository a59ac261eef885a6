"""The birds of `cub-100`, cut tightly to their boxes: from Caltech's folder, or cut already."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nogs_bench.builders.prepare.cub import crop_parts
from nogs_bench.builders.prepare.cub_layout import (
    cut_boxes,
    read_boxes,
    read_images,
    read_parts,
    within,
)
from nogs_bench.builders.prepare.preparation import Preparation, Request, prepares
from nogs_bench.builders.prepare.raw import Box, in_chunks
from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.cub import IMAGES, PARTS, split_numbers
from nogs_bench.tasks.families.cub_100 import ANNOTATED, FAMILY, SOURCE, SPECIES, SPLITS
from nogs_bench.tasks.families.cub_species import SPECIES as ALL_SPECIES

CROPS, CROPPED_PARTS = "map-to-cub.csv", "parts.csv"
CROP_COLUMNS = ("file", "cub_image_id", "cub_class", "is_training")
PART_COLUMNS = ("file", "part", "row", "col", "visible")


@dataclass(frozen=True)
class _Birds:
    """The images of the hundred species, in CUB's order.

    - `numbers`: int64 (n,), lines of `images.txt` from 0; `species`: int64 (n,), 0 .. 99.
    - `is_training`: bool (n,), the official split.
    - `boxes`: the crop of each file, None where it is one.
    - `parts`: float32 (n, 15, 3), (row, col) in pixels of the resized crop, and 1 where visible.
    """

    paths: list[Path]
    numbers: np.ndarray
    species: np.ndarray
    is_training: np.ndarray
    boxes: list[Box] | None
    parts: np.ndarray


@prepares(FAMILY, "splits")
def cub_100(source: Path, request: Request) -> Preparation:
    """2,599 train, 400 validate, and the 2,903 official test images of the species test.

    `source` is `CUB_200_2011` as Caltech ships it, or a folder of crops: `map-to-cub.csv` (file,
    cub_image_id, cub_class, is_training) and `parts.csv` (file, part, row, col, visible; places as
    shares of the crop). The validation images also early-stop the AVP. Raises `NogsError` for
    counts that are not the task's.
    """
    birds = _crops(source) if (source / CROPS).is_file() else _caltechs(source, request)
    splits = request.splits or SPLITS
    numbers = split_numbers(birds.is_training, (), min(ANNOTATED, splits.train), splits.validation)
    counts = tuple(len(split) for split in numbers.values())
    if counts != (splits.train, splits.validation, splits.test):
        raise NogsError(
            f"{source} gives {' / '.join(f'{n:,}' for n in counts)} train / validation / test "
            f"images, expected {splits.train:,} / {splits.validation:,} / {splits.test:,}; give "
            "the whole folder"
        )
    order = np.concatenate(list(numbers.values()))
    paths = [birds.paths[number] for number in order]
    boxes = None if birds.boxes is None else [birds.boxes[number] for number in order]
    first, second = counts[0], counts[0] + counts[1]
    return Preparation(
        dataset=FAMILY,
        size=SOURCE.image_size,
        chunks=in_chunks(range(len(paths)), paths, boxes),
        arrays={
            "labels": birds.species[order, None],
            "numbers": birds.numbers[order],
            "parts": birds.parts[order],
        },
        splits={
            "train": (0, first),
            "validation": (first, second),
            "test": (second, len(paths)),
            "avp_validation": (first, second),
        },
        notes={},
    )


def tight_box(box: np.ndarray, size: tuple[int, int]) -> Box:
    """(left, top, right, bottom) of a bounding box (left, top, width, height) inside an image of
    `size` (width, height), pixels."""
    left, top, width, height = box
    return (
        max(0, round(left)),
        max(0, round(top)),
        min(size[0], round(left + width)),
        min(size[1], round(top + height)),
    )


def _caltechs(source: Path, request: Request) -> _Birds:
    images = read_images(source, None if request.splits else IMAGES)
    count = len(images.paths)
    new = np.array([SPECIES.index(n) if n in SPECIES else -1 for n in ALL_SPECIES])
    species = new[images.species]
    numbers = np.flatnonzero(species >= 0)
    paths = [source / "images" / images.paths[number] for number in numbers]
    boxes = cut_boxes(tight_box, read_boxes(source, count)[numbers], paths)
    parts = crop_parts(read_parts(source, count)[numbers], boxes, SOURCE.image_size)
    is_training = images.is_training[numbers]
    return _Birds(paths, numbers, species[numbers], is_training, boxes, parts)


def _crops(source: Path) -> _Birds:
    def inside(name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/"):
            raise NogsError(f"{source / CROPS}: {name!r} leaves the folder")
        return source / name

    names, rows = [], []
    for where, (file, image, species, training) in _rows(source / CROPS, CROP_COLUMNS):
        try:
            name = ALL_SPECIES[within(1, len(ALL_SPECIES))(species) - 1]
            number, flag = within(1, IMAGES)(image) - 1, within(0, 1)(training)
            rows.append((number, SPECIES.index(name), flag))
        except ValueError as error:
            what = f"image {image}, class {species}, is_training {training}"
            raise NogsError(f"{where}: {what} is not cub-100's") from error
        names.append(file)
    table = np.array(rows, np.int64).reshape(-1, 3)
    order = np.argsort(table[:, 0], kind="stable")
    if len(np.unique(table[:, 0])) != len(table) or len(set(names)) != len(names):
        raise NogsError(f"{source / CROPS} names an image of CUB twice; get it again")
    numbers, species, training = table[order].T
    names = [names[number] for number in order]
    parts = _cropped_parts(source / CROPPED_PARTS, {name: row for row, name in enumerate(names)})
    paths = [inside(name) for name in names]
    if missing := [path for path in paths if not path.is_file()]:
        raise NogsError(f"{missing[0]} is missing ({len(missing)} are); give the whole folder")
    return _Birds(paths, numbers, species, training == 1, None, parts)


def _cropped_parts(path: Path, rows: dict[str, int]) -> np.ndarray:
    parts = np.full((len(rows), len(PARTS), 3), np.nan, np.float32)
    for where, (file, part, row, col, shown) in _rows(path, PART_COLUMNS):
        try:
            visible = within(0, 1)(shown)
            place = (float(row), float(col)) if visible else (0.0, 0.0)
            at = rows[file], PARTS.index(part)
            if not all(0 <= share <= 1 for share in place):
                raise ValueError(place)
        except (KeyError, ValueError) as error:
            raise NogsError(
                f"{where}: no such image or part, or a place that is no share of the crop, 0 .. 1"
            ) from error
        parts[at] = (place[0] * SOURCE.image_size, place[1] * SOURCE.image_size, visible)
    if np.isnan(parts).any():
        image, part = np.argwhere(np.isnan(parts).any(-1))[0]
        raise NogsError(f"{path} lacks {PARTS[part]} of {list(rows)[image]}; is it cut short?")
    return parts


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Of each line, where it is and its values of `columns`."""
    if not path.is_file():
        raise NogsError(f"{path} is missing; give the whole folder")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                values = [row[column] for column in columns if row.get(column) is not None]
                if len(values) != len(columns):
                    raise NogsError(f"{where}: expected {', '.join(columns)}; get it again")
                yield where, values
    except (UnicodeDecodeError, csv.Error) as error:
        raise NogsError(f"{path} is damaged ({error}); get it again") from error
