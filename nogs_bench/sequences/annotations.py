"""Glimpse sequences as a trainer takes them: read from a dataset folder or the Hub, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import PROVENANCE, read_provenance, replacing
from nogs_bench.images import LabelledImages, say
from nogs_bench.sequences.finding import dataset_folder, own_folders
from nogs_bench.sequences.identity import Identity, check_identity, read_identity
from nogs_bench.sequences.loading import load
from nogs_bench.sequences.recorded import require_digest
from nogs_bench.tasks import Task

POSTERIOR = "posterior"
COLUMNS = {"index": np.int64, "label": np.int64, "annotated": np.bool_}


@dataclass(frozen=True)
class Annotations:
    """Glimpse sequences of some training images of one task, in the order of `index`.

    - `name`: the folder's name or the Hub id they were read from.
    - `index`: int64 (n,), the images' numbers in the train split, without repetition.
    - `labels`: int64 (n,), their classes.
    - `glimpses`: int64 (n, T, 2), pixel (row, col) of each glimpse's top-left corner.
    - `epe`: float32 (n, T), expected posterior entropy before each glimpse, nats; -1 where it is
      not known.
    - `images`: the annotated images' digests by number; None where they were not recorded.
    - `posterior`: float32 (n, T, classes), probabilities of the classes after each glimpse, by the
      posterior that made the sequences; None where the dataset does not say.
    """

    name: str
    index: np.ndarray
    labels: np.ndarray
    glimpses: np.ndarray
    epe: np.ndarray
    images: Identity | None = None
    posterior: np.ndarray | None = None

    @property
    def digest(self) -> str:
        """sha256 of the arrays, little-endian, whatever file they came from."""
        state = hashlib.sha256(repr(self.glimpses.shape).encode())
        kinds = {"index": "<i8", "labels": "<i8", "glimpses": "<i8", "epe": "<f4"}
        for field, kind in kinds.items():
            state.update(np.ascontiguousarray(getattr(self, field), dtype=kind).data)
        return state.hexdigest()

    def __len__(self) -> int:
        return len(self.index)

    def first(self, count: int) -> Annotations:
        """The `count` sequences of the lowest image numbers."""
        names = ["index", "labels", "glimpses", "epe"]
        names += [] if self.posterior is None else ["posterior"]
        return replace(self, **{name: getattr(self, name)[:count] for name in names})

    def check_images(self, train: LabelledImages, task: Task) -> None:
        """Raise `NogsError` unless they are sequences of the images `train` of `task`."""
        if len(self) and self.index.max() >= len(train):
            raise NogsError(
                f"sequences {self.name} are of images up to number {self.index.max():,} of "
                f"{task.name}, and there are {len(train):,}: they were built for all of its "
                "images; give those, or build again"
            )
        if (train.labels[self.index, task.target] != self.labels).any():
            raise NogsError(
                f"sequences {self.name} have other labels than the images of {task.name}: they "
                "were built for another task or other images"
            )
        check_identity(self.images, self.index, train.images, f"sequences {self.name}")


def load_annotations(task: Task, where: str | Path | None = None) -> Annotations:
    """The annotated rows of `where`: a dataset folder, or the id of a dataset on the Hub.

    None means the task's own: those that come with the package, or those in `nogs/TASK`. Sequences
    of another version of the task are taken too, and a line on standard error says so. Raises
    `NogsError`, with the file and the row, if there are none or they do not fit the task.
    """
    folder = own_sequences(task) if where is None else Path(where)
    if folder.is_dir():
        source, table = _read_folder(folder)
        name = folder.resolve().name
    else:
        source, name = f"{where} (Hub)", str(where)
        folder, table = _read_hub(name)
    record = read_provenance(folder) if (folder / PROVENANCE).is_file() else {}
    try:
        checked = _checked(task, source, name, table)
    except NogsError as error:
        if record.get("task") in (None, task.name):
            raise
        raise NogsError(
            f"{where} holds sequences of {record['task']}, which do not fit {task.name}: {error}"
        ) from error
    _say_version(task, record, name)
    return replace(checked, images=read_identity(folder))


def _say_version(task: Task, record: Mapping[str, Any], name: str) -> None:
    """Say if a dataset records that it was built for another version of the task."""
    version = record.get("task_version")
    if record.get("task") == task.name and version not in (None, task.version):
        say(
            f"sequences {name} are of version {version} of {task.name}, which is now at "
            f"{task.version}: build them again, or compare results with none of other sequences"
        )


def own_sequences(task: Task) -> Path:
    """The dataset folder that the package ships for the task, or else `nogs/TASK` from here.

    Raises `NogsError` if there is neither.
    """
    folders = own_folders(task.name)
    for folder in folders:
        if folder.is_dir():
            return folder
    raise NogsError(
        f"no sequences for {task.name}: none come with the package, and there is no folder "
        f"{folders[1]}; run `nogs-bench build {task.name} --out {folders[1]}`, or name a dataset "
        "with --sequences"
    )


def write_annotations(folder: Path, annotations: Annotations) -> Path:
    """Write sequences as the config `annotations` of a dataset folder. Returns `folder`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    believed = annotations.posterior
    table = pa.table(
        {
            "index": annotations.index,
            "label": annotations.labels,
            "annotated": np.ones(len(annotations), bool),
            "glimpses": annotations.glimpses.tolist(),
            "epe": annotations.epe.tolist(),
        }
        | ({} if believed is None else {POSTERIOR: believed.tolist()})
    )
    with replacing(folder / "annotations" / "train.parquet") as path:
        pq.write_table(table, path)
    return folder


def _read_folder(folder: Path) -> tuple[str, dict[str, np.ndarray]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(folder.glob("annotations/train*.parquet")) or sorted(
        folder.glob("train*.parquet")
    )
    if not files:
        raise NogsError(f"{folder} holds no annotations/train*.parquet; is it a dataset folder?")
    needed = [*COLUMNS, "glimpses", "epe"]
    tables = []
    for file in files:
        try:
            content = file.read_bytes()
            require_digest(folder, file, content)
            known = pq.read_schema(pa.BufferReader(content)).names
            wanted = [*needed, *({POSTERIOR} & set(known))]
            tables.append(pq.read_table(pa.BufferReader(content), columns=wanted))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise NogsError(f"{file} is damaged or lacks a column of {needed}: {error}") from error
        missing = set(needed) - set(tables[-1].column_names)
        if missing:
            raise NogsError(f"{file} lacks the column {sorted(missing)[0]!r}")
    columns = {}
    for column in tables[0].column_names:
        chunks = [chunk for table in tables for chunk in table[column].chunks]
        columns[column] = _stack([value for chunk in chunks for value in _rows(chunk)])
    return ", ".join(str(file) for file in files), columns


def _rows(chunk: Any) -> list[Any]:
    """Python values of an arrow array; `datasets` writes Array2D as an extension of lists."""
    return (getattr(chunk, "storage", chunk)).to_pylist()


def _read_hub(name: str) -> tuple[Path, dict[str, np.ndarray]]:
    folder = dataset_folder(name, "annotations")
    rows = load(name, "annotations")["train"]
    missing = {*COLUMNS, "glimpses", "epe"} - set(rows.column_names)
    if missing:
        raise NogsError(f"{name} lacks the column {sorted(missing)[0]!r}")
    names = [*COLUMNS, "glimpses", "epe", *({POSTERIOR} & set(rows.column_names))]
    return folder, {column: _stack(rows[column][:]) for column in names}


def _stack(values: Sequence[Any]) -> np.ndarray:
    """One array of the rows; of dtype object where they have different shapes or gaps."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.asarray(values, dtype=object)


def _checked(task: Task, source: str, name: str, table: dict[str, np.ndarray]) -> Annotations:
    for column, kind in COLUMNS.items():
        if not np.can_cast(table[column].dtype, kind, "same_kind"):
            raise NogsError(f"{source}: column {column!r} holds gaps or is not of type {kind}")
    rows = np.flatnonzero(table["annotated"])
    if not len(rows):
        raise NogsError(f"{source}: no row is annotated; build the dataset again")
    arrays = {}
    shapes = {"glimpses": (task.T, 2), "epe": (task.T,)}
    if POSTERIOR in table:
        shapes[POSTERIOR] = (task.T, len(task.classes))
    for column, shape in shapes.items():
        array = _stack(table[column][rows].tolist())
        if array.dtype == object or array.shape[1:] != shape:
            raise NogsError(f"{source}: {column!r} must have shape {shape} in every annotated row")
        arrays[column] = array
    index = table["index"][rows].astype(np.int64)
    labels = table["label"][rows].astype(np.int64)
    for fault, what in (
        ((index < 0) | (index >= task.splits.train), f"index outside 0..{task.splits.train - 1}"),
        ((labels < 0) | (labels >= len(task.classes)), f"label is no class of {task.name}"),
        (_repeated(index), "image annotated twice"),
        (~np.isfinite(arrays["epe"]).all(1), "epe is not finite"),
    ):
        if fault.any():
            raise NogsError(f"{source}, row {rows[fault][0]}: {what}")
    for row, glimpses in zip(rows, arrays["glimpses"], strict=True):
        try:
            task.grid.pixel_to_index(glimpses)
        except NogsError as error:
            raise NogsError(f"{source}, row {row}: {error}") from error
    order = np.argsort(index)
    glimpses = arrays["glimpses"].astype(np.int64)
    epe = arrays["epe"].astype(np.float32)
    believed = arrays.get(POSTERIOR)
    if believed is not None:
        believed = believed.astype(np.float32)[order]
        wrong = ~((believed >= 0).all((1, 2)) & (np.abs(believed.sum(2) - 1) < 0.02).all(1))
        if wrong.any():
            raise NogsError(f"{source}, row {rows[order][wrong][0]}: posterior is no probability")
    return Annotations(
        name, index[order], labels[order], glimpses[order], epe[order], posterior=believed
    )


def _repeated(index: np.ndarray) -> np.ndarray:
    _, first = np.unique(index, return_index=True)
    again = np.ones(len(index), bool)
    again[first] = False
    return again
