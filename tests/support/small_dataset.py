"""A whole dataset folder of a tiny task, written in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.folder import write_dataset
from nogs_bench.builders.dataset.parquet import Annotations
from tiny import corner_task

TASK = corner_task()


ROWS = {split: TASK.source.load(split) for split in ("train", "validation", "test")}


QUALITY = {
    name: {"accuracy": [0.25, 0.5], "cross_entropy": [1.25, 0.75], "entropy": [1.0, 0.5]}
    for name in ("built", "random")
}


def annotations(seed: int = 0) -> Annotations:
    """Sequences of images 7, 3 and 399, with maps whose least value is at the chosen cell."""
    maps = np.random.default_rng(seed).random((3, 2, 3, 3)).astype(np.float16)
    flat = maps.reshape(3, 2, 9)
    return Annotations(
        index=np.array([7, 3, 399]),
        glimpses=TASK.grid.index_to_pixel(flat.argmin(-1)),
        epe=flat.min(-1).astype(np.float32),
        maps=maps,
    )


def write(out: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {
        **ROWS,
        "annotations": annotations(),
        "provenance": {"seed": 0},
        "quality": QUALITY,
        "origin": "made by a test",
    }
    return write_dataset(TASK, out, **(arguments | changes))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
