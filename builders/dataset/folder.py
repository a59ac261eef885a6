"""The dataset folder: what `datasets.load_dataset` reads and the Hub shows."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.card import dataset_card
from nogs_bench.builders.dataset.maps import ShardedMaps
from nogs_bench.builders.dataset.parquet import (
    CHUNK,
    FOLDERS,
    Annotations,
    Rows,
    config_features,
    split_columns,
    write_parquet,
)
from nogs_bench.builders.dataset.posterior import FOLDER as POSTERIOR
from nogs_bench.builders.dataset.posterior import Networks, write_posterior
from nogs_bench.files import (
    PROVENANCE,
    digest_file,
    digest_json,
    package_version,
    repaired,
    write_json,
    write_text,
)
from nogs_bench.images import LabelledImages
from nogs_bench.sequences import identity_record
from nogs_bench.tasks import Task

CARD = "README.md"
PIECES = (*FOLDERS.values(), POSTERIOR, PROVENANCE)


def write_dataset(
    task: Task,
    out: Path,
    *,
    train: Rows,
    validation: Rows,
    test: Rows,
    annotations: Annotations,
    provenance: Mapping[str, Any],
    quality: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
    origin: str,
    posterior: Networks | None = None,
) -> Path:
    """Write the dataset folder of `task` to `out`, whole or not at all; returns `out`.

    The configs are `default` (images, labels, glimpses), `annotations` (the same without images)
    and `maps` (the EPE of every location, annotated rows alone; absent where no maps were kept).
    Equal input gives equal bytes. What else lies in `out` (the stages in `.build`) stays.

    **Arguments**

    - `train`, `validation`, `test`: images and labels, or `LabelsOnly` for all three where images
      may not be copied; then `annotations` is the default config. A folder with images that may
      not ship says that it must not be published, in its card and as `publishable`.
    - `annotations`: sequences of images of `train`.
    - `provenance`: what made the sequences, as plain JSON values.
    - `quality`: T numbers each, after (or at) 1 .. T glimpses, in nats but for accuracies:
      `{"built" or "random": {"accuracy", "cross_entropy", "entropy"}}`, the AVP's accuracy, true
      cross-entropy and claimed entropy along the built and along random sequences; in `"built"`
      also `"searched"`, the EPE as the search found it, and `"stated"`, the same times its factor,
      or `"score"` where that is no expectation; `"built - random": {"cross_entropy",
      "standard_error"}`, the paired difference; and `"N of built": {"regret", "standard_error"}`,
      of N images.
    - `calibration`: of the AVP, as `builders.posterior.calibration_record` makes it.
    - `origin`: where the sequences come from, a phrase without a full stop.
    - `posterior`: the networks that made the sequences, if they are to go with them.

    Raises `NogsError` if annotations are off the grid, repeated or of the wrong shape.
    """
    splits = {"train": train, "validation": validation, "test": test}
    annotations = annotations.checked(task, len(train))
    digest = _content_digest(task, splits, annotations)
    with_images = all(isinstance(rows, LabelledImages) for rows in splits.values())
    with _moved_into(out) as folder:
        configs = _write_configs(folder, task, splits, with_images, annotations, digest)
        packed = {} if posterior is None else write_posterior(folder, task, posterior)
        record = {
            "task": task.name,
            "task_version": task.version,
            "grid": asdict(task.grid),
            **({"chosen": dict(task.chosen)} if task.chosen else {}),
            "digest": digest,
            "nogs_bench": package_version(),
            "origin": origin,
            "licence": task.licence,
            "annotated": len(annotations.index),
            **_identity(annotations, train),
            "images": {name: len(rows) for name, rows in splits.items()},
            "files": {
                path.relative_to(folder).as_posix(): digest_file(path)
                for path in sorted(folder.rglob("*.parquet"))
            },
            "quality": quality,
            "calibration": calibration,
            "posterior": packed | {"column": annotations.beliefs is not None},
            "publishable": task.images_may_ship or not with_images,
            "made_by": dict(provenance),
        }
        write_json(folder / PROVENANCE, record)
        write_text(folder / CARD, dataset_card(task, record, configs, annotations.epe))
    return out


def dataset_files(out: Path) -> list[Path]:
    """All files of a dataset folder, the card last."""
    folders = [out / piece for piece in PIECES]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*"))]
    return [*files, out / PROVENANCE, out / CARD]


def _write_configs(
    folder: Path,
    task: Task,
    splits: Mapping[str, Rows],
    with_images: bool,
    annotations: Annotations,
    digest: str,
) -> dict[str, dict[str, Any]]:
    """Write all parquet; returns, for each config, its `features` and YAML `metadata`."""
    beliefs = annotations.beliefs is not None
    kinds = config_features(task, beliefs)
    types = {name: kinds[name] for name in ("default", "annotations")[not with_images :]}
    files: dict[str, dict[str, str]] = {name: {} for name in types}
    for split, rows in splits.items():
        if not len(rows):  # `datasets` cannot read parquet without rows
            continue
        columns = split_columns(task, rows, annotations if split == "train" else None, beliefs)
        for config, kind in types.items():
            images = (
                rows.images if config == "default" and isinstance(rows, LabelledImages) else None
            )
            name = f"{FOLDERS[config]}/{split}.parquet"
            write_parquet(folder / name, columns, kind, images)
            files[config][split] = name
    if annotations.maps is not None:
        types["maps"] = kinds["maps"]
        files["maps"] = {"train": f"{FOLDERS['maps']}/train.parquet"}
        columns = {"index": annotations.index, "epe_map": annotations.maps}
        write_parquet(folder / files["maps"]["train"], columns, types["maps"])
    return describe_configs(types, files, digest)


def describe_configs(
    types: Mapping[str, Any], files: Mapping[str, Mapping[str, str]], digest: str
) -> dict[str, dict[str, Any]]:
    """For each config the `features` and YAML `metadata` that the card gives; the first is default.

    `files` names each config's file of each split, `digest` is that of the content.
    """
    first = next(iter(types))
    return {
        config: {
            "features": kind,
            "metadata": {
                "data_files": [{"split": s, "path": path} for s, path in files[config].items()],
                # `datasets` keys its cache of a local folder on the card's YAML alone: rows that
                # change must change it, or the old ones are returned.
                "version": _version(digest),
                **({"default": True} if config == first else {}),
            },
        }
        for config, kind in types.items()
    }


def _identity(annotations: Annotations, train: Rows) -> dict[str, Any]:
    """Which images the sequences are of, where the images are at hand."""
    images = annotations.images
    if images is None and isinstance(train, LabelledImages):
        images = train.images[annotations.index]
    return {} if images is None else identity_record(annotations.index, images)


def _content_digest(task: Task, splits: Mapping[str, Rows], annotations: Annotations) -> str:
    """sha256 of all rows, the same whatever library wrote the files."""
    content: dict[str, Any] = {"task": task.name, "task_version": task.version}
    for split, rows in splits.items():
        known = rows.digest() if isinstance(rows, LabelledImages) else _digest(rows.labels, "<i8")
        content[split] = known
    for name, kind in {"index": "<i8", "glimpses": "<i2", "epe": "<f4", "maps": "<f2"}.items():
        array = getattr(annotations, name)
        content[name] = None if array is None else _digest(array, kind)
    if annotations.beliefs is not None:
        content["posterior"] = _digest(annotations.beliefs, "<f2")
    return digest_json(content)


def _digest(array: np.ndarray | ShardedMaps, kind: str) -> str:
    """Of an array's shape and content, read some rows at a time."""
    state = hashlib.sha256(repr(array.shape).encode())
    for start in range(0, len(array), CHUNK):
        state.update(np.ascontiguousarray(array[start : start + CHUNK], dtype=kind).data)
    return state.hexdigest()


def _version(digest: str) -> str:
    """A digest in the form of a version number, the only one that `datasets` accepts."""
    return f"1.{int(digest[:8], 16)}.{int(digest[8:16], 16)}"


def sweep_dataset(out: Path) -> None:
    """Remove what `write_dataset` to `out` left when it was killed; nobody may be writing there."""
    left = unfinished_beside(out)
    for path in left:
        shutil.rmtree(path)
    repaired(left, "left by a call that was killed: removed")


def unfinished_beside(out: Path) -> list[Path]:
    """What calls of `write_dataset` to `out` left that were killed, or that are at work."""
    place = _same_disk(out)
    beside = place.iterdir() if place.is_dir() else ()
    return sorted(p for p in beside if p.name.startswith(_prefix(out)) and p.is_dir())


def _prefix(out: Path) -> str:
    return f".{out.resolve().name}.unfinished-"


def _same_disk(out: Path) -> Path:
    """The folder beside `out`, behind links; `out` itself where it is another disk's own folder."""
    out = out.resolve()
    mounted = out.is_dir() and out.stat().st_dev != out.parent.stat().st_dev
    return out if mounted else out.parent


@contextmanager
def _moved_into(out: Path) -> Iterator[Path]:
    """A folder on the disk of `out` whose pieces move into it when the block ends without error.

    The card goes first and comes last: a folder with a card is whole. If not all can be moved, what
    was there is put back.
    """
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_same_disk(out), prefix=_prefix(out)) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        old.mkdir()
        yield new
        out.resolve().mkdir(exist_ok=True)
        empty = False  # of pieces: what lies there then is new
        try:
            _move((CARD, *PIECES), out, old)
            empty = True
            _move((*PIECES, CARD), new, out)
        except BaseException:
            for piece in (CARD, *PIECES) if empty else ():
                _remove(out / piece)
            _move((*PIECES, CARD), old, out)
            raise


def _move(pieces: Iterable[str], source: Path, target: Path) -> None:
    for piece in pieces:
        if (source / piece).exists():
            shutil.move(source / piece, target / piece)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
