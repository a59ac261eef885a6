"""A task and its images: the one door through which images of a source come in, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from nogs_bench.errors import NogsError, place_of
from nogs_bench.images import BadRows, LabelledImages, Sampler
from nogs_bench.tasks.task import Splits, Task


@runtime_checkable
class Counted(Protocol):
    """A source whose folder says itself how many images a split has, which may be fewer than the
    task's (a part of a dataset, prepared as such)."""

    def count(self, split: str, data: Path | None = None) -> int: ...


def load_split(task: Task, split: str, data: Path | None = None) -> LabelledImages:
    """All images of `split` of `task`, from its source, checked against the task.

    `data` is the folder that the user named, if any. Labels come as int64.

    Raises `NogsError`, with task and split, unless `split` is one of `Splits`, there are as many
    images as the task's `splits` say, each uint8 (channels, image_size, image_size), with one class
    number a label in its range; for a split without images; and for whatever the source raises.
    """
    names = [field.name for field in fields(Splits)]
    if split not in names:
        raise NogsError(f"{task.name} has no split {split!r}; its splits are {', '.join(names)}")
    source = task.source
    rows = _checked(task, split, lambda: source.load(split, data))
    wanted = getattr(task.splits, split)
    if isinstance(source, Counted):
        wanted = min(wanted, source.count(split, data))
    if len(rows) != wanted:
        raise NogsError(
            f"{task.name}, {split}: the task says {wanted:,} images, its source gives "
            f"{len(rows):,}; correct the task's splits, or give its own images (--data)"
        )
    if not len(rows):
        raise NogsError(
            f"{task.name}: its images have none of the split {split}; add some to where they come "
            "from, and prepare them again"
        )
    return rows


def sample_images(
    task: Task, stream: str, start: int, count: int, data: Path | None = None
) -> LabelledImages:
    """Images of a task whose source is a `Sampler`, checked as `load_split` does."""
    source = task.source
    assert isinstance(source, Sampler)
    rows = _checked(task, f"sample {stream}", lambda: source.sample(stream, start, count, data))
    if len(rows) != count:
        raise NogsError(
            f"{task.name}, sample {stream}: its source was asked for {count:,} images and gave "
            f"{len(rows):,}"
        )
    return rows


def check_images(task: Task, what: str, rows: LabelledImages) -> LabelledImages:
    """`rows` with int64 labels. Raises `NogsError` unless each is an image of `task`, labelled."""
    where, shape = f"{task.name}, {what}", (task.channels, task.image_size, task.image_size)
    if rows.images.shape[1:] != shape:
        raise NogsError(
            f"{where}: the task's images are (channels, rows, columns) = {shape}, its source gives "
            f"{tuple(rows.images.shape[1:])}; correct channels and grid, or the source"
        )
    if rows.labels.shape[1] != len(task.labels):
        hint = "; a one-hot code? give class numbers" if len(task.labels) == 1 else ""
        raise NogsError(
            f"{where}: the task has labels {_names(task)}, so labels (n, {len(task.labels)}); its "
            f"source gives {rows.labels.shape}{hint}"
        )
    if rows.labels.dtype.kind not in "iub":
        raise NogsError(f"{where}: labels must be integers, its source gives {rows.labels.dtype}")
    labels = rows.labels.astype(np.int64, copy=False)
    for column, label in enumerate(task.labels):
        wrong = np.flatnonzero((labels[:, column] < 0) | (labels[:, column] >= len(label.classes)))
        if len(wrong):
            raise NogsError(
                f"{where}: image {wrong[0]} has {label.name} = {labels[wrong[0], column]}; its "
                f"classes are 0..{len(label.classes) - 1}"
            )
    return rows if labels is rows.labels else LabelledImages(rows.images, labels)


def _checked(task: Task, what: str, load: Callable[[], object]) -> LabelledImages:
    try:
        rows = load()
    except BadRows as error:
        raise NogsError(f"{task.name}, {what}: {error}") from error
    except NogsError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise NogsError(f"{task.name}, {what}: its source failed{place_of(error)}") from error
    except Exception as error:
        raise NogsError(f"{task.name}, {what}: its source failed{place_of(error)}") from error
    if not isinstance(rows, LabelledImages):
        raise NogsError(
            f"{task.name}, {what}: its source must return LabelledImages(images, labels), it "
            f"returned a {type(rows).__name__}"
        )
    return check_images(task, what, rows)


def _names(task: Task) -> str:
    names = [label.name for label in task.labels]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
