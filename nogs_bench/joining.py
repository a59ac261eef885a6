"""Images from the user's own copy, joined to the rows of a dataset that has none."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import ImageSource, LabelledImages, data_folder
from nogs_bench.task import Task

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL.Image import Image


def join_images(rows: DatasetDict, task: Task, images: Path | None) -> DatasetDict:
    """`rows` whose items also have an `image`, read from the task's source when asked for.

    **Arguments**

    - `rows`: splits of the config `annotations` of `task`.
    - `images`: the folder that the task's source reads; None where it needs none.

    Raises `NogsError` if the images are missing, are fewer than the rows say, or have other labels.
    """
    for split, part in rows.items():
        folder = data_folder(images)
        _check(part, task.source.load(split, folder), f"{task.name}, {split}", task.target)
        rows[split] = part.with_transform(_AddImage(task.source, split, folder))
    return rows


def _check(rows: Dataset, source: LabelledImages, where: str, target: int) -> None:
    plain = rows.with_format("numpy")
    index, label = plain["index"][:], plain["label"][:]
    if len(index) and index.max() >= len(source):
        raise NogsError(f"{where}: row {index.max()} has no image, there are {len(source)}")
    labels = source.labels[index, target]
    wrong = np.flatnonzero((labels != label) & (labels >= 0) & (label >= 0))
    if len(wrong):
        raise NogsError(
            f"{where}: image {index[wrong[0]]} has label {labels[wrong[0]]}, its row "
            f"{label[wrong[0]]}; these are other images, or the same in another order"
        )


@dataclass(frozen=True)
class _AddImage:
    """Adds `image`, by `index`, to a batch of rows.

    Pickled and digested (as `datasets` does) without the images, which are read again.
    """

    source: ImageSource
    split: str
    folder: Path | None

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 (n, channels, size, size)."""
        return self.source.load(self.split, self.folder).images

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if "index" not in batch:
            return batch
        return {"image": [picture(self.images[row]) for row in batch["index"]], **batch}


def picture(pixels: np.ndarray) -> Image:
    """A PIL image of uint8 (1 or 3, height, width)."""
    from PIL import Image

    grey = len(pixels) == 1
    return Image.fromarray(np.ascontiguousarray(pixels[0] if grey else pixels.transpose(1, 2, 0)))
