"""Banks from images that are already there: a folder, a dataset, or the task's own sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.generators.generator import GENERATORS, Generator, Setting, split_options
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json
from nogs_bench.images import (
    Item,
    LabelledImages,
    Sampler,
    background_of,
    decoded,
    file_state,
    list_pictures,
    quietly,
    read_picture,
    say,
    squared,
)
from nogs_bench.tasks import Task, sample_images

# Images that stand for all that a sampler gives: for its code and the files that it reads.
PROBE = 16


class StoredImages:
    """As many images as there are, in an order that the seed shuffles.

    **Arguments**

    - `read(number)`: uint8 (channels, size, size) and a label; -1 is for all of the task's labels.
    - `total`: how many there are.
    - `config`: see `Generator`.
    """

    def __init__(
        self,
        read: Callable[[int], tuple[np.ndarray, int]],
        total: int,
        task: Task,
        config: Mapping[str, Any],
    ):
        self.read, self.total, self.task, self.config = read, total, task, config

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`. Raises `NogsError` beyond the last image."""
        if start + count > self.total:
            raise NogsError(
                f"a bank of {start + count} images was asked of {self.total}; make it smaller "
                "(bank_images) or give more images"
            )
        order = _order(self.total, seed)[start : start + count]
        images, labels = [], np.empty((count, len(self.task.labels)), np.int64)
        with quietly():
            for row, number in enumerate(order):
                image, labels[row] = self.read(int(number))
                images.append(image)
        return LabelledImages(np.stack(images), labels)


@lru_cache(1)
def _order(total: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 3]).permutation(total)


@GENERATORS.register("folder")
def open_folder(argument: str, setting: Setting) -> Generator:
    """`folder:DIR`: every image file in it and below, without labels; decoded once, and kept."""
    folder = Path(argument)
    if not argument or not folder.is_dir():
        raise NogsError(f"--bank folder:{argument}: no such folder; write it as folder:DIR")
    listed = list_pictures(folder)
    account = listed.account()
    if account is not None:
        say(account)
    task, background = setting.task, background_of(setting.task.source)

    def decode(path: Path) -> np.ndarray:
        return squared(read_picture(path, task.channels, background=background), task.image_size)

    found = decoded(
        [
            Item(str(path.relative_to(folder)), file_state(path), partial(decode, path))
            for path in (file.path for file in listed.files)
        ],
        (task.channels, task.image_size, task.image_size),
        f"{folder.resolve()}, background {background}",
    )
    count = len(found.rows)
    config = {"generator": "folder", "files": count, "listing": digest_json(found.digests)}
    return StoredImages(lambda i: (found.pixels[found.rows[i]], -1), count, task, config)


@GENERATORS.register("dataset")
def open_dataset(argument: str, setting: Setting) -> Generator:
    """`dataset:NAME_OR_FOLDER`, whatever `datasets.load_dataset` loads.

    Options: `config=` (default: the dataset's own), `split=` (default `train`), `image=` and
    `label=`, the columns. Without `label` the bank has no labels; with it, the task must have one
    label, and its classes the same numbers.
    """
    known = {"split": str, "image": str, "label": str, "config": str}
    name, options = split_options(argument, known, "dataset")
    from datasets import Image as ImageFeature
    from datasets import load_dataset

    split = options.get("split", "train")
    try:
        rows = load_dataset(name, options.get("config"), split=split)
    except (OSError, ValueError, RuntimeError) as error:
        raise NogsError(f"--bank dataset:{argument}: {str(error).splitlines()[0]}") from error
    column, label = options.get("image", "image"), options.get("label")
    missing = {column, label or column} - set(rows.column_names)
    if missing:
        raise NogsError(
            f"dataset {name} has no column {missing.pop()!r}; it has {rows.column_names}"
        )
    if not isinstance(rows.features[column], ImageFeature):
        raise NogsError(f"dataset {name}: column {column!r} holds no images; give image=COLUMN")
    fingerprint = rows._fingerprint
    rows = rows.cast_column(column, ImageFeature(decode=False))
    task = setting.task
    if label:
        _check_labels(rows[label][:], task, f"dataset {name}")

    def read(number: int) -> tuple[np.ndarray, int]:
        row = rows[number]
        cell, where = row[column] or {"bytes": b""}, f"dataset {name}, row {number}"
        file = Path(cell["path"]) if cell["bytes"] is None else cell["bytes"]
        picture = read_picture(file, task.channels, where, background_of(task.source))
        return squared(picture, task.image_size), row[label] if label else -1

    config = {
        "generator": "dataset",
        "rows": len(rows),
        "fingerprint": fingerprint,
        "columns": [column, label],
        "background": list(background_of(task.source)),
    }
    return StoredImages(read, len(rows), task, config)


def _check_labels(labels: Sequence[int], task: Task, where: str) -> None:
    if len(task.labels) != 1:
        raise NogsError(f"{where}: {task.name} has {len(task.labels)} labels; leave out label=")
    classes = len(task.classes)
    wrong = [label for label in labels if not isinstance(label, int) or not -1 <= label < classes]
    if wrong:
        raise NogsError(
            f"{where}: label {wrong[0]!r} is not one of {task.name}'s {classes} classes"
        )


class TaskSampler:
    """The task's own p(image, label): a bank of any size, on disk."""

    def __init__(self, task: Task, data: Path | None = None):
        self.task, self.data = task, data
        self.config: Mapping[str, Any] = {
            "generator": "sampler",
            "task": task.name,
            "version": task.version,
            "first": self.sample(0, 0, PROBE).digest(),
        }

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`."""
        return sample_images(self.task, f"bank-{seed}", start, count, self.data)


@GENERATORS.register("sampler")
def open_sampler(argument: str, setting: Setting) -> Generator:
    """`sampler`: for tasks whose images are composed."""
    source = setting.task.source
    if argument or not isinstance(source, Sampler):
        raise NogsError(f"--bank sampler: {setting.task.name} has no sampler; name a generator")
    return TaskSampler(setting.task, setting.data)
