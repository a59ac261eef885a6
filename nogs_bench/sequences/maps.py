"""Maps of expected posterior entropy, for who trains with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.sequences.finding import dataset_folder
from nogs_bench.sequences.recorded import require_digest
from nogs_bench.tasks import Task

if TYPE_CHECKING:
    import pyarrow.parquet as pq


def map_files(folder: Path) -> list[Path]:
    """The files of a dataset folder's maps; none if it has none."""
    return sorted(folder.glob("maps/train*.parquet")) or sorted(folder.glob("maps*.parquet"))


def open_maps(folder: Path, file: Path) -> pq.ParquetFile:
    """One of the `map_files`, as the folder's provenance records it.

    Raises `NogsError` if it is another, and pyarrow's errors or `OSError` if it is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = file.read_bytes()
    require_digest(folder, file, content)
    return pq.ParquetFile(pa.BufferReader(content))


def load_maps(task: Task, where: str | Path, index: np.ndarray) -> np.ndarray:
    """The maps of the images `index`, int64 (n,): float32 (n, T, cells), nats.

    NaN where a location was not evaluated. `where`: a dataset folder or Hub id. Raises `NogsError`
    if there are none, an image has none, or they are of another grid.
    """
    import pyarrow as pa

    folder = Path(where) if Path(where).is_dir() else dataset_folder(where, "maps")
    files = map_files(folder)
    if not files:
        raise NogsError(f"{where} has no EPE maps (maps/train.parquet), which the method needs")
    file, shape = files[0], (task.T, *task.grid.shape)
    try:
        opened = [open_maps(folder, each) for each in files]
        table = pa.concat_tables(each.read(columns=["index", "epe_map"]) for each in opened)
        numbers = table["index"].to_numpy()
        held = np.concatenate([_values(chunk) for chunk in table["epe_map"].chunks])
        maps = held.reshape(len(numbers), *shape)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise NogsError(f"{file} holds no maps {shape} of {task.name}: {error}") from error
    order = np.argsort(numbers)
    at = np.searchsorted(numbers[order], index).clip(max=len(numbers) - 1)
    missing = numbers[order][at] != index
    if missing.any():
        raise NogsError(
            f"{file} has no map of image {index[missing][0]}, whose sequence supervises"
        )
    found: np.ndarray = maps[order[at]].reshape(len(index), task.T, -1).astype(np.float32)
    return found


def _values(chunk: Any) -> np.ndarray:
    """All numbers of an array of nested lists, which `datasets` writes as an extension."""
    values: Any = getattr(chunk, "storage", chunk)
    while hasattr(values, "flatten") and str(values.type).startswith(
        ("list", "fixed_size", "large")
    ):
        values = values.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float32)
