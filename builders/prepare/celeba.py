"""CelebA-HQ as people have it: a folder of PNG, JPEG or .npy files, or parquet from the Hub.

Which image is which matters: sequences and labels go by number, 0 .. 29,999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.prepare.celeba_labels import read_attributes
from nogs_bench.builders.prepare.preparation import Preparation, Request, prepares
from nogs_bench.builders.prepare.raw import FileChunk, ParquetChunk, image_number, in_chunks
from nogs_bench.errors import NogsError
from nogs_bench.images import say
from nogs_bench.tasks.families.celeba_hq import FAMILY, SOURCE, SPLITS

SUFFIXES = (".png", ".jpg", ".jpeg", ".npy")
LABEL_FILES = (
    "celeba-hq-attributes.txt",
    "celeba-hq-attributes.txt.gz",
    "CelebAMask-HQ-attribute-anno.txt",
)


@prepares(FAMILY, "labels", "splits", "in_order", "partial")
def celeba_hq(source: Path, request: Request) -> Preparation:
    """Images 0 .. 26,999 train, the next 500 validate, the last 2,500 test (section 6).

    With `partial`, splits have what there is of theirs, and `numbers` says which image is which.
    The 500 validation images also early-stop the AVP, as in the authors' code. Raises `NogsError`
    for a number that is missing or there twice, and for parquet rows that do not say their number.
    """
    splits = request.splits or SPLITS
    count = splits.train + splits.validation + splits.test
    labels = read_attributes(_label_file(source, request.labels), count)
    parquet = sorted(source.rglob("*.parquet"))
    if request.in_order and not parquet:
        raise NogsError(f"--in-order is for rows of parquet, and {source} has none; leave it out")
    if request.in_order and request.partial:
        raise NogsError(
            "--in-order takes an image's number from the rows before it, so a part of the images "
            "would be numbered wrongly; fetch all parquet files, and leave --partial out"
        )
    found = _parquet_chunks(parquet, request.in_order) if parquet else _files(source)
    numbers = _numbers(found, count, source, request)
    place = {number: row for row, number in enumerate(numbers.tolist())}
    chunks = [replace(chunk, rows=tuple(place[row] for row in chunk.rows)) for chunk in found]
    first, second = (
        int(np.searchsorted(numbers, end))
        for end in (splits.train, splits.train + splits.validation)
    )
    rows = {
        "train": (0, first),
        "validation": (first, second),
        "test": (second, len(numbers)),
        "avp_validation": (first, second),
    }
    for split, (start, end) in rows.items():
        if start == end and split != "avp_validation":
            say(f"{source} has no {split} images; add some before you build or train")
    notes: dict[str, Any] = {"source": "parquet" if parquet else "files"}
    if request.partial:
        notes["partial"] = {"found": len(numbers), "of": count}
    return Preparation(
        dataset=FAMILY,
        size=SOURCE.image_size,
        chunks=chunks,
        arrays={"labels": labels[numbers], "numbers": numbers},
        splits=rows,
        notes=notes,
    )


def _label_file(source: Path, given: Path | None) -> Path:
    if given is not None:
        return given
    for name in LABEL_FILES:
        if (source / name).is_file():
            return source / name
    raise NogsError(
        f"{source} has none of {', '.join(LABEL_FILES)}; give the labels: --labels FILE"
    )


def _files(source: Path) -> list[FileChunk]:
    numbered: dict[int, Path] = {}
    for path in sorted(source.rglob("*")):
        number = image_number(path.name)
        if path.suffix.lower() in SUFFIXES and number is not None:
            if number in numbered:
                raise NogsError(f"{numbered[number]} and {path} are both image {number}; keep one")
            numbered[number] = path
    numbers = sorted(numbered)
    return list(in_chunks(numbers, [numbered[number] for number in numbers]))


def _parquet_chunks(paths: list[Path], in_order: bool) -> list[ParquetChunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks: list[ParquetChunk] = []
    seen: set[int] = set()
    for path in paths:
        try:
            file = pq.ParquetFile(path)
            names = file.read(columns=["image.path"])["image"].to_pylist()
        except (pa.ArrowException, KeyError, OSError) as error:
            raise NogsError(f"{path} is not parquet with encoded images ({error})") from error
        said = [(cell or {}).get("path") for cell in names]
        numbers = [image_number(path) if isinstance(path, str) else None for path in said]
        if in_order:
            numbers = list(range(len(seen), len(seen) + len(names)))
        first = 0
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            rows = tuple(number for number in numbers[first:end] if number is not None)
            if len(rows) != end - first:
                raise NogsError(
                    f"{path}: row {numbers.index(None)} does not say which image it is; if the "
                    "mirror keeps CelebA-HQ's order, give --in-order"
                )
            if len(set(rows)) != len(rows) or seen & set(rows):
                raise NogsError(f"{path}: an image is there twice in row group {group}")
            seen |= set(rows)
            chunks.append(ParquetChunk(rows, path, group))
            first = end
    return chunks


def _numbers(
    chunks: Sequence[FileChunk | ParquetChunk], count: int, source: Path, request: Request
) -> np.ndarray:
    """int64 (n,), increasing: which images there are; all of `count`, unless a part will do."""
    numbers = {row for chunk in chunks for row in chunk.rows}
    missing, unknown = set(range(count)) - numbers, numbers - set(range(count))
    if unknown:
        raise NogsError(
            f"{source} has an image {min(unknown)}, and CelebA-HQ's are 0 .. {count - 1:,}; remove "
            "that file or row"
        )
    if missing and not (request.partial and numbers):
        what = f"image {min(missing)} is missing"
        can_be_partial = numbers and not request.in_order
        remedy = "; --partial keeps what is there" if can_be_partial else ""
        raise NogsError(
            f"{source} has {len(numbers):,} images, expected 0 .. {count - 1:,}: {what}{remedy}"
        )
    return np.array(sorted(numbers), np.int64)
