"""`predict`: what a trained network says of every picture in a folder, as a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import replacing
from nogs_bench.progress import progress_bars
from nogs_bench.trained.files import picture_files, read_picture_for
from nogs_bench.trained.loading import TrainedNetwork
from nogs_bench.trained.looking import look_at

BATCH = 200
SUFFIXES = (".csv", ".parquet")

Row = dict[str, Any]


def predict(
    network: TrainedNetwork,
    folder: str | Path,
    out: str | Path,
    *,
    greedy: bool = False,
    seed: int = 0,
    confident: float | None = None,
) -> Path:
    """Classify each picture in a folder and below, and write a row for each; returns `out`.

    The columns are

    - `file`, relative to the folder; `class`, the answer; `probability` of it; `glimpses`, how many
      were used;
    - for t = 1 .. T, `row_t` and `col_t`, the glimpse's top-left corner in pixels of the image as
      the task resizes it, and `class_t`, the answer after glimpse t;
    - for each class, `p_CLASS`, its probability after the glimpses that were used.

    **Arguments**

    - `out`: a `.csv` or `.parquet` file.
    - `greedy`, `seed`, `confident`: as in `look_at`. Each batch of 200 pictures is drawn with the
      same seed.

    Raises `NogsError` if a picture cannot be read.
    """
    out, root = Path(out), Path(folder)
    if out.suffix not in SUFFIXES:
        raise NogsError(f"--out {out}: predictions are written as {' or '.join(SUFFIXES)}")
    files = picture_files(root)
    rows: list[Row] = []
    with progress_bars() as bars:
        bar = bars.add_task("Pictures", total=len(files), note="")
        for batch in _batches(files):
            images = np.stack([read_picture_for(network.task, file) for file in batch])
            looks = look_at(network, images, greedy=greedy, seed=seed, confident=confident)
            names = [
                _written(f.relative_to(root) if root.is_dir() else Path(f.name)) for f in batch
            ]
            rows += [_row(network, looks, n, name) for n, name in enumerate(names)]
            bars.advance(bar, len(batch))
    _write(out, rows)
    return out


def _batches(files: list[Path]) -> Iterator[list[Path]]:
    left = iter(files)
    while batch := list(islice(left, BATCH)):
        yield batch


def _written(path: Path) -> str:
    """A path as text; bytes of it that are no UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _row(network: TrainedNetwork, looks: Any, n: int, name: str) -> Row:
    classes, used = network.task.classes, int(looks.used[n])
    belief = looks.beliefs[n, used - 1]
    row: Row = {
        "file": name,
        "class": classes[int(belief.argmax())],
        "probability": float(belief.max()),
        "glimpses": used,
    }
    for t, (place, then) in enumerate(zip(looks.glimpses[n], looks.beliefs[n], strict=True), 1):
        row |= {f"row_{t}": int(place[0]), f"col_{t}": int(place[1])}
        row[f"class_{t}"] = classes[int(then.argmax())]
    return row | {f"p_{name}": float(p) for name, p in zip(classes, belief, strict=True)}


def _write(out: Path, rows: list[Row]) -> None:
    with replacing(out) as temporary:
        if out.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), temporary)
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
