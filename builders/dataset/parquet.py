"""Rows of a dataset folder as parquet that `datasets.load_dataset` reads."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.maps import ShardedMaps
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.sequences import picture
from nogs_bench.tasks import Task

CHUNK = 4096
NOT_ANNOTATED = -1
CHANNELS = (1, 3)
# The folder of each config's files, the default config first.
FOLDERS = {"default": "data", "annotations": "annotations", "maps": "maps"}


@dataclass(frozen=True)
class LabelsOnly:
    """The labels of images that may not be copied: int64 (n, number of the family's labels)."""

    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


Rows = LabelledImages | LabelsOnly


@dataclass(frozen=True)
class Annotations:
    """Glimpse sequences of some images of one split.

    - `index`: int64 (n,), the images' numbers in their split, without repetition.
    - `glimpses`: integer (n, T, 2), pixel (row, col) of each glimpse's top-left corner, on the
      task's grid.
    - `epe`: float32 (n, T), what is stated of the chosen location before each glimpse: the EPE
      times the factor of `builders.search.corrections`, nats, at least 0; None where not known.
    - `maps`: float16 (n, T, grid rows, grid columns), the EPE of every location; None where it
      was not kept. NaN marks a location that the search did not evaluate. They may stay on disk.
    - `beliefs`: float16 (n, T, classes), probabilities that the posterior gives the classes after
      each glimpse; None where they are not known.
    - `images`: uint8 (n, channels, size, size), the annotated images, of which digests are kept;
      None where they are those of the train split, or not at hand.
    """

    index: np.ndarray
    glimpses: np.ndarray
    epe: np.ndarray | None = None
    maps: np.ndarray | ShardedMaps | None = None
    images: np.ndarray | None = None
    beliefs: np.ndarray | None = None

    def checked(self, task: Task, rows: int) -> Annotations:
        """Sorted by index. Raises `NogsError` if anything does not fit `task` or `rows` images."""
        n, name = len(self.index), f"annotations of {task.name}"
        shapes = {
            "glimpses": (self.glimpses, (n, task.T, 2)),
            "epe": (self.epe, (n, task.T)),
            "maps": (self.maps, (n, task.T, *task.grid.shape)),
            "beliefs": (self.beliefs, (n, task.T, len(task.classes))),
        }
        for field, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise NogsError(f"{name}: {field} has shape {array.shape}, expected {shape}")
        if n and not 0 <= self.index.min() <= self.index.max() < rows:
            raise NogsError(f"{name}: an image number lies outside 0..{rows - 1}")
        if len(np.unique(self.index)) != n:
            raise NogsError(f"{name}: an image is annotated twice; keep one sequence for it")
        if self.epe is not None and not (self.epe >= 0).all():
            raise NogsError(f"{name}: an expected posterior entropy is negative or NaN")
        task.grid.pixel_to_index(self.glimpses)
        order = np.argsort(self.index)
        epe = None if self.epe is None else self.epe[order]
        maps = None if self.maps is None else self.maps[order]
        images = None if self.images is None else self.images[order]
        beliefs = None if self.beliefs is None else self.beliefs[order]
        return Annotations(self.index[order], self.glimpses[order], epe, maps, images, beliefs)


def features(task: Task, images: bool, beliefs: bool) -> Any:
    """Column types of the configs `default` (with images) and `annotations` (without).

    `beliefs`: whether there is a column `posterior`.
    """
    from datasets import Array2D, ClassLabel, Features, Image, List, Value

    columns = {"image": Image()} if images else {}
    shape = task.T, len(task.classes)
    believed = {"posterior": Array2D(shape, "float16")} if beliefs else {}
    return Features(
        columns
        | {
            "index": Value("int64"),
            "label": ClassLabel(names=list(task.classes)),
            "annotated": Value("bool"),
            "glimpses": Array2D((task.T, 2), "int16"),
            "epe": List(Value("float32"), length=task.T),
        }
        | believed
    )


def map_features(task: Task) -> Any:
    """Column types of the config `maps`."""
    from datasets import Array3D, Features, Value

    return Features(
        {"index": Value("int64"), "epe_map": Array3D((task.T, *task.grid.shape), "float16")}
    )


def config_features(task: Task, beliefs: bool) -> dict[str, Any]:
    """Column types of every config; `beliefs`: whether there is a column `posterior`."""
    return {
        "default": features(task, images=True, beliefs=beliefs),
        "annotations": features(task, images=False, beliefs=beliefs),
        "maps": map_features(task),
    }


def has_column(record: Mapping[str, Any]) -> bool:
    """Whether a dataset's rows have a column `posterior`, from its provenance."""
    return bool((record.get("posterior") or {}).get("column"))


def posterior_files(record: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each file of a dataset's posterior network, from its provenance."""
    return dict((record.get("posterior") or {}).get("files") or {})


def split_columns(
    task: Task, rows: Rows, annotations: Annotations | None, beliefs: bool
) -> dict[str, Any]:
    """The columns of one split but for the image; sentinels of -1 where nothing is known."""
    n = len(rows)
    columns = {
        "index": np.arange(n),
        "label": rows.labels[:, task.target],
        "annotated": np.zeros(n, bool),
        "glimpses": np.full((n, task.T, 2), NOT_ANNOTATED, np.int16),
        "epe": np.full((n, task.T), NOT_ANNOTATED, np.float32),
    }
    if annotations is not None:
        columns["annotated"][annotations.index] = True
        columns["glimpses"][annotations.index] = annotations.glimpses
        if annotations.epe is not None:
            columns["epe"][annotations.index] = annotations.epe
    if beliefs:
        shape = n, task.T, len(task.classes)
        columns["posterior"] = np.full(shape, NOT_ANNOTATED, np.float16)
        if annotations is not None and annotations.beliefs is not None:
            columns["posterior"][annotations.index] = annotations.beliefs
    return columns


def write_parquet(
    path: Path, columns: dict[str, Any], types: Any, images: np.ndarray | None = None
) -> None:
    """Write `columns` (arrays of one length) to `path`, with `images` as PNG if given.

    Rows are encoded and written in chunks of 4,096, each a row group, so that memory holds one
    chunk. Equal input gives equal bytes.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, types.arrow_schema, write_page_index=True) as writer:
        for start in range(0, max(len(columns["index"]), 1), CHUNK):
            rows = slice(start, start + CHUNK)
            chunk = {name: column[rows] for name, column in columns.items()}
            if "epe_map" in chunk:
                chunk["epe_map"] = chunk["epe_map"].astype(np.float16)
            if images is not None:
                chunk["image"] = [{"bytes": png, "path": None} for png in _pngs(images[rows])]
            writer.write_table(_table(chunk, types.arrow_schema))


def _table(columns: dict[str, Any], schema: Any) -> Any:
    """The arrow table that `Dataset.from_dict` would make of arrays, without a loop over rows."""
    import pyarrow as pa

    def column(values: Any, kind: Any) -> Any:
        storage = getattr(kind, "storage_type", kind)
        array = pa.array(values.ravel() if isinstance(values, np.ndarray) else values)
        for size in reversed(values.shape[1:] if isinstance(values, np.ndarray) else ()):
            array = pa.ListArray.from_arrays(
                np.arange(0, len(array) + 1, size, dtype=np.int32), array
            )
        array = array.cast(storage)
        return array if storage is kind else pa.ExtensionArray.from_storage(kind, array)

    return pa.table([column(columns[field.name], field.type) for field in schema], schema=schema)


def _pngs(images: np.ndarray) -> Iterator[bytes]:
    channels = images.shape[1]
    if channels not in CHANNELS:
        raise NogsError(f"images of {channels} channels cannot be written as PNG; only 1 or 3 can")
    for image in images:
        buffer = io.BytesIO()
        picture(image).save(buffer, "PNG")
        yield buffer.getvalue()
