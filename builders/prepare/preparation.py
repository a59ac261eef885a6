"""What is to be prepared, and the registry of datasets that can be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.prepare.raw import Chunk
from nogs_bench.errors import NogsError
from nogs_bench.images import Splits, refuse_unread
from nogs_bench.registry import Registry


@dataclass(frozen=True)
class Request:
    """What a user may say about the images beside where they are; None and False: nothing.

    - `labels`: CelebA's or CelebA-HQ's attribute file, where it is not in the source folder.
    - `exclude`: CUB's list of images to leave out.
    - `splits`: the sizes to expect, if not the task's (for a part of the dataset).
    - `partial`: keep what is there of a dataset whose images go by number (`celeba-hq`).
    - `in_order`: take it that rows of parquet without numbers are in the dataset's order.
    """

    labels: Path | None = None
    exclude: Path | None = None
    splits: Splits | None = None
    in_order: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Preparation:
    """Everything to be done for one dataset.

    - `chunks`: the images; their `rows` cover 0 .. count - 1 once.
    - `arrays`: what lies beside the images, by file stem ("labels", "numbers", "parts").
    - `splits`: (first row, end) of each.
    - `notes`: more for the record, as plain JSON values.
    """

    dataset: str
    size: int
    chunks: Sequence[Chunk]
    arrays: Mapping[str, np.ndarray]
    splits: Mapping[str, tuple[int, int]]
    notes: Mapping[str, Any]

    @property
    def count(self) -> int:
        return len(self.arrays["labels"])

    def key(self) -> str:
        """sha256 of everything that the prepared folder depends on."""
        state = sha256(repr((self.dataset, self.size, dict(self.splits))).encode())
        for chunk in self.chunks:
            state.update(chunk.describe().encode())
        for name in sorted(self.arrays):
            state.update(np.ascontiguousarray(self.arrays[name]).data)
        return state.hexdigest()


def in_turn(splits: Splits) -> dict[str, tuple[int, int]]:
    """(first row, end) of splits that follow each other, in their order."""
    return dict(
        zip(asdict(splits), pairwise(accumulate(vars(splits).values(), initial=0)), strict=True)
    )


Make = Callable[[Path, Request], Preparation]


@dataclass(frozen=True)
class Preparer:
    """How a dataset is prepared from a folder, and which fields of `Request` that reads."""

    make: Make
    options: tuple[str, ...]

    def prepare(self, name: str, source: Path, request: Request) -> Preparation:
        """Raises `NogsError` if the request has something that would not be read."""
        for field in fields(request):
            if field.name not in self.options and getattr(request, field.name):
                option = field.name.replace("_", "-")
                raise NogsError(f"--{option}: {name} has no use for it; leave it out")
        for _ in os.walk(source, onerror=refuse_unread):
            pass  # a folder that cannot be read would be passed over
        return self.make(source, request)


PREPARERS: Registry[Preparer] = Registry("dataset to prepare")


def prepares(name: str, *options: str) -> Callable[[Make], Make]:
    """Decorator: the function prepares the dataset `name`, and reads these fields of `Request`."""

    def register(make: Make) -> Make:
        PREPARERS.add(name, Preparer(make, options))
        return make

    return register
