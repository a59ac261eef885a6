"""Images that the package may not ship, as `nogs-bench prepare` leaves them in a folder.

images.npy      uint8 (n, channels, size, size)
labels.npy      int64 (n, number of the family's labels)
numbers.npy     int64 (n,), each image's number in its dataset, from 0
parts.npy       float32 (n, parts, 3), where the dataset has keypoints: (row, col, visible)
prepared.json   dataset, splits as {name: [first row, end]}, and the digest of each array
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file, read_array
from nogs_bench.images.labelled import LabelledImages, data_folder

RECORD = "prepared.json"


@dataclass(frozen=True)
class PreparedFolder:
    """A task's images in a folder that `prepare` wrote; implements `ImageSource`.

    Images stay on disk, memory-mapped: only the pixels that are used are read.

    **Arguments**

    - `dataset`: the name that `prepare` knows it by.
    - `channels`, `image_size`, `labels`: shape of the images, and labels of each.
    - `splits`: the names of the splits it must have.
    - `how`: one line, why the images are not here and how to get them.
    """

    dataset: str
    channels: int
    image_size: int
    labels: int
    splits: tuple[str, ...]
    how: str

    @property
    def summary(self) -> str:
        return self.how

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        """The images of `split`; `NogsError` if the folder is missing or not this dataset's."""
        folder, rows = self._rows(split, data)
        labels = np.asarray(self._array(folder, "labels"))
        return LabelledImages(self._array(folder, "images")[rows], labels[rows])

    def count(self, split: str, data: Path | None = None) -> int:
        """How many images the folder's record gives `split`."""
        _, rows = self._rows(split, data)
        return int(rows.stop - rows.start)

    def load_parts(self, split: str, data: Path | None = None) -> np.ndarray:
        """float32 (n, parts, 3) of `split`: row and column in pixels, and 1 where visible."""
        folder, rows = self._rows(split, data)
        if not (folder / "parts.npy").is_file():
            raise NogsError(f"{folder} has no parts.npy: {self.dataset} has no keypoints there")
        return self._array(folder, "parts")[rows]

    def _rows(self, split: str, data: Path | None) -> tuple[Path, slice]:
        folder = data_folder(data)
        if folder is None:
            raise NogsError(f"no images of {self.dataset}: {self.how}")
        record = read_record(folder, self.dataset)
        if set(record["splits"]) != set(self.splits):
            raise NogsError(
                f"{folder / RECORD} has splits {sorted(record['splits'])}, expected "
                f"{sorted(self.splits)}; prepare the images again"
            )
        return folder, slice(*record["splits"][split])

    def _array(self, folder: Path, name: str) -> np.ndarray:
        shapes = {
            "images": (self.channels, self.image_size, self.image_size),
            "labels": (self.labels,),
        }
        array = open_array(folder / f"{name}.npy")
        count = read_record(folder, self.dataset)["count"]
        row = shapes.get(name, array.shape[1:])
        if array.shape != (count, *row):
            raise NogsError(
                f"{folder / name}.npy has shape {array.shape}, expected {(count, *row)}; prepare "
                "the images again"
            )
        return array


def read_record(folder: Path, dataset: str | None = None) -> dict[str, Any]:
    """`prepared.json` of `folder`. Raises `NogsError` if absent, damaged or not `dataset`'s."""
    path = folder / RECORD
    if not path.is_file():
        raise NogsError(
            f"{folder} has no {RECORD}; make it with: nogs-bench prepare "
            f"{dataset or 'DATASET'} --source IMAGES --out {folder}"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        known = record["dataset"], record["count"], record["splits"], record["digests"]
    except (ValueError, KeyError, TypeError) as error:
        raise NogsError(f"{path} is damaged ({error!r}); prepare the images again") from error
    if dataset not in (None, known[0]):
        raise NogsError(f"{folder} holds {known[0]}, not {dataset}; give another --data DIR")
    return record


def verify(folder: Path, dataset: str) -> dict[str, Any]:
    """Digest every array of a prepared folder against its record, and return the record.

    Reads everything (4.5 GB for CelebA-HQ). Raises `NogsError` naming the file that differs.
    """
    record = read_record(folder, dataset)
    for name, digest in record["digests"].items():
        path = folder / name
        if not path.is_file() or digest_file(path) != digest:
            raise NogsError(
                f"{path} is missing or changed since it was prepared; prepare the images again, "
                "into another folder"
            )
    return record


def open_array(path: Path) -> np.ndarray:
    """A .npy file, memory-mapped, written to only in the process's own copy; never unpickled."""
    try:
        # Not the mode "r", whose arrays torch does not accept without a copy.
        return read_array(path, "c")
    except NogsError as error:
        raise NogsError(f"{error}; prepare the images again") from error
