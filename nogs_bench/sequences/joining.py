"""Images from the user's own copy, joined to the rows of a dataset that has none."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import ImageSource, LabelledImages, data_folder, planes
from nogs_bench.sequences.identity import Identity, check_identity
from nogs_bench.tasks import Task, load_split

if TYPE_CHECKING:
    from PIL.Image import Image


def join_images(
    rows: Any,
    task: Task,
    images: Path | None,
    format: str | None = None,
    known: Identity | None = None,
) -> Any:
    """`rows` whose items also have an `image`, read from the task's source when asked for.

    **Arguments**

    - `rows`: of the config `annotations` of `task`: a dict of splits, or one, streaming or not.
    - `images`: the folder that the task's source reads; None where it needs none.
    - `format`: as `load` has it.
    - `known`: digests of the annotated images, where the dataset records them.

    Raises `NogsError` if the images are missing, fewer than the rows say, or others than theirs;
    where rows stream, when it comes to them.
    """
    if isinstance(rows, dict):
        for split, part in rows.items():
            rows[split] = join_images(part, task, images, format, known)
        return rows
    from datasets import IterableDataset

    split = str(rows.split)
    if not split.split("[")[0].isidentifier():
        raise NogsError(f"images are joined to one split, not to {split!r}")
    name = split.split("[")[0]
    add = _AddImage(task, name, data_folder(images), format, known if name == "train" else {})
    if isinstance(rows, IterableDataset):
        return rows.map(add, batched=True)
    plain = rows.with_format("numpy")
    where = f"{task.name}, {split}"
    check_rows(plain["index"][:], plain["label"][:], add.rows, where, task.target)
    check_identity(add.known, plain["index"][:], add.rows.images, where)
    return rows.with_transform(add)


def check_rows(
    index: np.ndarray, label: np.ndarray, source: LabelledImages, where: str, target: int
) -> None:
    """Raise `NogsError` unless image `index` of `source` has the label `label`, where both know."""
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

    task: Task
    split: str
    folder: Path | None
    format: str | None
    known: Identity | None

    @property
    def source(self) -> ImageSource:
        return self.task.source

    @cached_property
    def rows(self) -> LabelledImages:
        return load_split(self.task, self.split, self.folder)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if "index" not in batch:
            return self._formatted(batch)
        index = np.asarray(batch["index"])
        if "label" in batch:
            where = f"{self.task.name}, {self.split}"
            check_rows(index, np.asarray(batch["label"]), self.rows, where, self.task.target)
            check_identity(self.known, index, self.rows.images, where)
        images = self.rows.images[index]
        if self.format is None:
            return {"image": [picture(image) for image in images], **batch}
        return self._formatted({"image": images, **batch})

    def _formatted(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.format is None:
            return batch
        arrays = {name: np.asarray(values) for name, values in batch.items()}
        for name, array in arrays.items():
            if array.dtype == np.float64:
                arrays[name] = array.astype(np.float32)
        if self.format == "numpy":
            return arrays
        import torch

        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def in_numpy(rows: Any) -> Any:
    """`rows` (a dict of splits, or one, streaming or not) with numpy arrays for values: images
    uint8 (channels, height, width), whatever `datasets` makes of them."""
    from datasets import IterableDataset

    if isinstance(rows, dict):
        for split, part in rows.items():
            rows[split] = in_numpy(part)
        return rows
    pictured = "image" in (rows.features or {})
    if isinstance(rows, IterableDataset):
        return rows.map(_as_arrays, batched=True, features=None if pictured else rows.features)
    if not pictured:
        return rows.with_format("numpy")
    return rows.with_transform(_as_arrays)


def _as_arrays(batch: dict[str, Any]) -> dict[str, Any]:
    arrays = {}
    for name, values in batch.items():
        if name == "image":
            values = [image if isinstance(image, np.ndarray) else planes(image) for image in values]
        array = np.asarray(values)
        arrays[name] = array.astype(np.float32) if array.dtype == np.float64 else array
    return arrays


def picture(pixels: np.ndarray) -> Image:
    """A PIL image of uint8 (1 or 3, height, width)."""
    from PIL import Image

    grey = len(pixels) == 1
    return Image.fromarray(np.ascontiguousarray(pixels[0] if grey else pixels.transpose(1, 2, 0)))
