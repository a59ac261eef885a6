"""Equation 17: look more often where a first glimpse is expected to tell more (appendix B.2)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.randomness import derive
from nogs_bench.sequences import load, map_files, open_maps, own_sequences
from nogs_bench.tasks import Task


def location_probabilities(epe: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """Equation 17: p(l) proportional to exp(-inverse_temperature * EPE(l)).

    **Arguments**

    - `epe`: float (cells,), the expected posterior entropy after one glimpse at l, nats.
    - `inverse_temperature`: gamma^-1, at least 0; 0 makes every location alike.

    **Returns** float64 (cells,), summing to 1.
    """
    weights = np.exp(-inverse_temperature * (epe - epe.min()))
    return weights / weights.sum()


def heuristic_glimpses(
    epe: np.ndarray, inverse_temperature: float, rows: np.ndarray, T: int
) -> np.ndarray:
    """Location indices int64 (len(rows), T), each drawn independently from equation 17 (B.3).

    The draws of image `rows[i]` depend on its number and the temperature alone.
    """
    cdf = np.cumsum(location_probabilities(epe, inverse_temperature))
    rng = np.random.default_rng(derive("heuristic", str(inverse_temperature)))
    at = rng.random((int(rows.max()) + 1, T))[rows] * cdf[-1]
    return np.minimum(np.searchsorted(cdf, at, side="right"), len(cdf) - 1)


def first_step_map(task: Task, where: str | Path | None = None) -> np.ndarray:
    """EPE of every location when nothing has been seen: float64 (cells,), nats.

    It does not depend on the image, so any row of the config `maps` holds it. `where` is a dataset
    folder or Hub id; None means `own_sequences`. Raises `NogsError` if there
    are no maps, they are damaged or of another grid.
    """
    folder = own_sequences(task) if where is None else Path(where)
    if where is None or folder.is_dir():
        source, first = _first_of_folder(folder)
    else:
        source, first = f"{where} (Hub)", load(where, "maps")["train"][0]["epe_map"]
    try:
        epe = np.asarray(first, np.float64)
    except (ValueError, TypeError) as error:
        raise NogsError(f"{source}: a map is no array of numbers; build it again") from error
    if epe.shape != (task.T, *task.grid.shape):
        raise NogsError(
            f"{source}: maps of {task.name} have shape {(task.T, *task.grid.shape)}, got "
            f"{epe.shape}; was it built for another task?"
        )
    if not (np.isfinite(epe[0]) & (epe[0] >= 0)).all():
        raise NogsError(f"{source}: the first step's map has gaps; build the dataset again")
    return epe[0].ravel()


def map_digest(epe: np.ndarray) -> str:
    """sha256 of a map, as little-endian float64."""
    return hashlib.sha256(np.ascontiguousarray(epe, "<f8").tobytes()).hexdigest()


def _first_of_folder(folder: Path) -> tuple[str, Any]:
    import pyarrow as pa

    files = map_files(folder)
    if not files:
        raise NogsError(
            f"{folder} has no EPE maps (maps/train.parquet), which equation 17 needs; build some, "
            "one image is enough: nogs-bench build TASK --images 1 --out DIR, and give --maps DIR"
        )
    try:
        table = open_maps(folder, files[0])
        batch = next(table.iter_batches(batch_size=1, columns=["epe_map"]))
        column = batch.column(0)
        # `datasets` writes Array3D as an extension of lists.
        return str(files[0]), getattr(column, "storage", column).to_pylist()[0]
    except (pa.ArrowException, OSError, ValueError, StopIteration, IndexError) as error:
        raise NogsError(f"{files[0]} is damaged or lacks the column 'epe_map': {error}") from error
