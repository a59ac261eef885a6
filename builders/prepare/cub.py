"""CUB_200_2011 cut to its birds: images, labels and keypoints of each crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from nogs_bench.builders.prepare.cub_layout import (
    cut_boxes,
    read_attributes,
    read_boxes,
    read_exclusions,
    read_images,
    read_parts,
)
from nogs_bench.builders.prepare.preparation import Preparation, Request, prepares
from nogs_bench.builders.prepare.raw import Box, in_chunks
from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.cub import ANNOTATED, DATASET, IMAGES, SOURCE, SPLITS, split_numbers

MARGIN = 0.75


@prepares(DATASET, "exclude", "splits")
def cub(source: Path, request: Request) -> Preparation:
    """5,120 train, 874 validation and, without the 43 excluded, 5,751 test images (section 6).

    `tasks.families.cub.split_numbers` says which; the validation images also early-stop the AVP.
    Without an exclusion list all 5,794 official test images stay, and the record's counts say so.
    Raises `NogsError` if a list is given that does not leave the task's counts.
    """
    images = read_images(source, None if request.splits else IMAGES)
    count = len(images.paths)
    excluded = read_exclusions(request.exclude, images) if request.exclude else []
    expected = request.splits or SPLITS
    numbers = split_numbers(
        images.is_training, excluded, min(ANNOTATED, expected.train), expected.validation
    )
    _check_counts(numbers, request)
    order = np.concatenate(list(numbers.values()))
    paths = [source / "images" / images.paths[number] for number in order]
    boxes = cut_boxes(crop_box, read_boxes(source, count)[order], paths)
    ends = np.cumsum([0, *map(len, numbers.values())]).tolist()
    rows = dict(zip(numbers, pairwise(ends), strict=True))
    return Preparation(
        dataset=DATASET,
        size=SOURCE.image_size,
        chunks=in_chunks(range(len(paths)), paths, boxes),
        arrays={
            "labels": np.column_stack([images.species, read_attributes(source, count)])[order],
            "numbers": order,
            "parts": crop_parts(read_parts(source, count)[order], boxes, SOURCE.image_size),
        },
        splits=rows | {"avp_validation": rows["validation"]},
        notes={
            "counts": {name: len(split) for name, split in numbers.items()},
            "excluded": len(excluded),
        },
    )


def crop_box(box: np.ndarray, size: tuple[int, int]) -> Box:
    """(left, top, right, bottom) of the crop of an image of `size` (width, height), pixels.

    The square around the middle of the bounding `box` (left, top, width, height) that is 1.5 times
    its longer side, as far as the image reaches: FineGAN's crop, on which the paper's generator
    was trained. At an edge the crop is not square, and resizing stretches it.
    """
    left, top, width, height = box
    half = int(max(width, height) * MARGIN)
    x, y = int(left + width / 2), int(top + height / 2)
    return max(0, x - half), max(0, y - half), min(size[0], x + half), min(size[1], y + half)


def crop_parts(parts: np.ndarray, boxes: Sequence[Box], size: int) -> np.ndarray:
    """float32 (n, 15, 3): (row, col) in pixels of the resized crop, and 1 where visible in it.

    `parts` is float64 (n, 15, 3): x, y in pixels of the image, and 1 where visible.
    """
    corners = np.array(boxes, np.float64)
    start, extent = corners[:, None, :2], corners[:, None, 2:] - corners[:, None, :2]
    place = (parts[..., :2] - start) * (size / extent)
    inside = ((place >= 0) & (place < size)).all(-1)
    visible = inside & (parts[..., 2] == 1)
    return np.concatenate([place[..., ::-1], visible[..., None]], axis=-1).astype(np.float32)


def _check_counts(numbers: Mapping[str, np.ndarray], request: Request) -> None:
    expected = request.splits or SPLITS
    counts = tuple(len(split) for split in numbers.values())
    test = expected.test
    if request.exclude is None and request.splits is None:
        test = IMAGES - expected.train - expected.validation
    if counts != (expected.train, expected.validation, test):
        raise NogsError(
            f"the folder gives {' / '.join(f'{n:,}' for n in counts)} train / validation / test "
            f"images, expected {expected.train:,} / {expected.validation:,} / {test:,}; check "
            "train_test_split.txt and the exclusion list"
        )
