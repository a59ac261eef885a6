"""Maps of expected posterior entropy, for who trains with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.sequences.finding import dataset_folder
from nogs_bench.sequences.recorded import require_digest
from nogs_bench.tasks import Task


def load_maps(task: Task, where: str | Path, index: np.ndarray) -> np.ndarray:
    """The maps of the images `index`, int64 (n,): float32 (n, T, cells), nats.

    NaN where a location was not evaluated. `where`: a dataset folder or Hub id. Raises `NogsError`
    if there are none, an image has none, or they are of another grid.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(where) if Path(where).is_dir() else dataset_folder(where, "maps")
    file = folder / "maps" / "train.parquet"
    if not file.is_file():
        raise NogsError(f"{where} has no EPE maps (maps/train.parquet), which the method needs")
    shape = (task.T, *task.grid.shape)
    try:
        content = file.read_bytes()
        require_digest(folder, file, content)
        table = pq.read_table(pa.BufferReader(content), columns=["index", "epe_map"])
        numbers = table["index"].to_numpy()
        held = np.concatenate([_values(chunk) for chunk in table["epe_map"].chunks])
        maps = held.reshape(len(numbers), *shape)
    except (pa.ArrowException, OSError, ValueError) as error:
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
