"""`prepare`: images that users fetch themselves, decoded and resized once into one array."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.artefact import digest_file, package_version, replacing, write_json
from nogs_bench.builders.decode import decode_images
from nogs_bench.builders.raw_images import Chunk
from nogs_bench.errors import NogsError
from nogs_bench.prepared import RECORD, read_record, verify
from nogs_bench.registry import Registry
from nogs_bench.task import Splits


@dataclass(frozen=True)
class Request:
    """What a user may say about the images beside where they are; None and False: nothing.

    - `labels`: CelebA-HQ's attribute file, where it is not in the source folder.
    - `exclude`: CUB's list of images to leave out.
    - `splits`: the sizes to expect, if not the task's (for a part of the dataset).
    - `in_order`: take it that rows of parquet without numbers are in the dataset's order.
    """

    labels: Path | None = None
    exclude: Path | None = None
    splits: Splits | None = None
    in_order: bool = False


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


PREPARERS: Registry[Callable[[Path, Request], Preparation]] = Registry("dataset to prepare")


def prepare(
    name: str,
    source: Path | str,
    out: Path | str,
    *,
    labels: Path | str | None = None,
    exclude: Path | str | None = None,
    splits: Splits | None = None,
    in_order: bool = False,
    workers: int | None = None,
) -> Path:
    """Write the images of dataset `name` ("celeba-hq" or "cub") to `out` as the tasks read them.

    Runs in `workers` processes (default: one a core). Stopped at any point, the same call goes on
    where it was; a finished folder is verified against its digests and left alone. The format is
    `nogs_bench.prepared`'s, and the options are `Request`'s. Returns `out`.

    Raises `NogsError` for missing or damaged images, for counts that are not the task's, and if
    `out` holds something else.
    """
    import nogs_bench.builders.prepare_celeba
    import nogs_bench.builders.prepare_cub  # noqa: F401  (they fill the registry)

    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise NogsError(f"--source {source} is not a folder; give the one that holds the images")
    request = Request(_path(labels), _path(exclude), splits, in_order)
    work = PREPARERS[name](source, request)
    key = work.key()
    if (out / RECORD).is_file():
        if read_record(out, name).get("key") != key:
            raise NogsError(f"{out} was prepared from other images; choose another --out")
        verify(out, name)
        return out
    images = decode_images(work.chunks, work.size, out / ".prepare", workers)
    _finish(work, key, images, out)
    return out


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _finish(work: Preparation, key: str, images: Path, out: Path) -> None:
    """Move the images into place, write the rest, and last the record that says it is whole."""
    for name, array in work.arrays.items():
        with replacing(out / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    files = {"images": images} | {name: out / f"{name}.npy" for name in work.arrays}
    record = {
        "dataset": work.dataset,
        "key": key,
        "count": work.count,
        "image_size": work.size,
        "splits": {name: list(rows) for name, rows in work.splits.items()},
        "digests": {f"{name}.npy": digest_file(path) for name, path in files.items()},
        "nogs_bench": package_version(),
        **work.notes,
    }
    images.replace(out / "images.npy")
    write_json(out / RECORD, record)
    shutil.rmtree(images.parent)
