"""CelebA's aligned images 000001 to 010000, cut to their middle square."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nogs_bench.builders.prepare.celeba_labels import read_attributes
from nogs_bench.builders.prepare.preparation import Preparation, Request, in_turn, prepares
from nogs_bench.builders.prepare.raw import in_chunks
from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.celeba_10k import FAMILY, SIDE, SPLITS

FOLDER, LABEL_FILES = "img_align_celeba", ("list_attr_celeba.txt", "list_attr_celeba.csv")


@prepares(FAMILY, "labels", "splits")
def celeba_10k(source: Path, request: Request) -> Preparation:
    """Images 1 .. 8,000 train, the next 500 validate, 1,000 test and 500 choose the AVP's epoch.

    `source` holds `img_align_celeba/NUMBER.jpg` (or .png), of any size, and
    `list_attr_celeba.txt`, or the same as Kaggle has it: one folder deeper, and a `.csv`. Images
    and lines after the first 10,000 are passed over. Raises `NogsError` for a number that is
    missing.
    """
    splits = in_turn(request.splits or SPLITS)
    count = splits["avp_validation"][1]
    labels = read_attributes(request.labels or _labels(source), count, first=1, of_more=True)
    paths = [_image(source, number) for number in range(1, count + 1)]
    return Preparation(
        dataset=FAMILY,
        size=SIDE,
        chunks=in_chunks(range(count), paths),
        arrays={"labels": labels, "numbers": np.arange(1, count + 1)},
        splits=splits,
        notes={},
    )


def _labels(source: Path) -> Path:
    files = [source / name for name in LABEL_FILES]
    return next((file for file in files if file.is_file()), files[0])


def _image(source: Path, number: int) -> Path:
    for folder in (source / FOLDER, source / FOLDER / FOLDER, source):
        for suffix in (".jpg", ".png"):
            path = folder / f"{number:06}{suffix}"
            if path.is_file():
                return path
    raise NogsError(
        f"{source / FOLDER} has no image {number:06}.jpg; give the folder that holds CelebA's "
        f"{FOLDER} and {LABEL_FILES[0]}"
    )
