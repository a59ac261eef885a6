"""`prepare`: images that users fetch themselves, decoded and resized once into one array."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.prepare.decode import decode_images
from nogs_bench.builders.prepare.preparation import PREPARERS, Preparation, Request
from nogs_bench.errors import NogsError
from nogs_bench.executors import Where
from nogs_bench.files import digest_file, locked, package_version, replacing, write_json
from nogs_bench.images import RECORD, Splits, read_record, verify

HERE = Where()
UNFINISHED = ".prepare"


def prepare(
    name: str,
    source: Path | str,
    out: Path | str,
    *,
    labels: Path | str | None = None,
    exclude: Path | str | None = None,
    splits: Splits | None = None,
    in_order: bool = False,
    partial: bool = False,
    where: Where = HERE,
    **given: Any,
) -> Path:
    """Write the images of a dataset to a folder, in the form in which tasks read them.

    If a call was stopped, the same call goes on where it was. A finished folder is checked against
    its digests, and not changed. `nogs_bench.images.prepared` describes the format.

    **Arguments**

    - `name`: a name in `PREPARERS`, such as `"celeba-hq"`, `"cub"` or `"celeba-10k"`.
    - `source`: the folder with the files that you fetched.
    - `out`: the folder to write.
    - `labels`: CelebA's or CelebA-HQ's file of attributes, if `source` does not hold it.
    - `exclude`: CUB's list of images to leave out.
    - `splits`: the sizes that splits must have, for a part of the dataset. None: the task's.
    - `in_order`: whether rows of parquet without numbers are in the dataset's order.
    - `partial`: whether a part of the images is enough (`celeba-hq`).
    - `where`: its `workers` are the processes that decode. It may also be `given` as an argument.

    Returns `out`.

    Raises `NogsError` for missing or damaged images, for counts that are not the task's, for an
    argument that the dataset has no use for, and if `out` holds something else or is in use.
    """
    where = where.using("prepare", ["workers"], given)
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise NogsError(f"--source {source} is not a folder; give the one that holds the images")
    request = Request(_path(labels), _path(exclude), splits, in_order, partial)
    work = PREPARERS[name].prepare(name, source, request)
    key = work.key()
    if not _is_finished(out, name, key):
        busy = f"another `prepare` is at work in {out}; wait for it, or give another --out"
        with locked(out / ".lock", busy):
            if not _is_finished(out, name, key):
                _require_vacant(out, work)
                images = decode_images(work.chunks, work.size, out / UNFINISHED, where.workers)
                _finish(work, key, images, out)
    return out


def _is_finished(out: Path, name: str, key: str) -> bool:
    """Whether the folder is whole. Raises `NogsError` if it is damaged, or holds something else."""
    if not (out / RECORD).is_file():
        return False
    record = read_record(out)
    if record["dataset"] != name:
        raise NogsError(f"{out} holds {record['dataset']}, not {name}; give another --out")
    if record.get("key") != key:
        raise NogsError(
            f"{out} was prepared from other images, or they changed since; choose another --out"
        )
    verify(out, name)
    return True


def _require_vacant(out: Path, work: Preparation) -> None:
    """Raise `NogsError` if the folder has files of the names to be written that no call began."""
    if (out / UNFINISHED).is_dir():
        return
    for name in ("images", *work.arrays):
        if (out / f"{name}.npy").exists():
            raise NogsError(
                f"{out / name}.npy is there, and no {RECORD} beside it says that this command "
                "wrote it; give another --out, or remove it"
            )


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
