"""What a report shows of a dataset folder, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures import EpeCase
from nogs_bench.files import read_provenance
from nogs_bench.sequences import dataset_folder, load, load_pictured, recorded_grid
from nogs_bench.tasks import GlimpseGrid, Task

# Only so many images and maps are read: a report shows samples.
READ = 16


@dataclass(frozen=True)
class ReportData:
    """The annotated rows of a dataset, in the order of their image numbers.

    - `record`: what `provenance.json` holds.
    - `index`: int64 (n,), `labels`: their classes' names.
    - `glimpses`: int64 (n, T, 2), pixel (row, col); `epe`: float32 (n, T), nats, None if unknown.
    - `maps`: float32 (m, T, grid rows, grid columns), nats, of the first m rows; None if not kept.
    - `images`: float32 (m, size, size, 3) in 0 .. 1, of the first m; None if there are none.
    """

    record: Mapping[str, Any]
    grid: GlimpseGrid
    index: np.ndarray
    labels: list[str]
    glimpses: np.ndarray
    epe: np.ndarray | None
    maps: np.ndarray | None
    images: np.ndarray | None

    def case(self, row: int) -> EpeCase:
        """The row as a figure takes it."""
        image = None if self.images is None else self.images[row]
        maps = None if self.maps is None else self.maps[row]
        return EpeCase(self.grid, image, self.labels[row], self.glimpses[row], maps)


def read_report_data(
    dataset: str | Path, images: str | Path | bool | None, task: str | Task | None
) -> ReportData:
    """Read a dataset; all arguments as `load` has them.

    Raises `NogsError` if there is no such dataset, it is not whole, no row is annotated, or
    images do not fit.
    """
    folder = dataset_folder(dataset, "annotations")
    record = read_provenance(folder, whole=True)
    rows = load(dataset, "annotations", split="train")
    annotated = np.flatnonzero(np.asarray(rows["annotated"]))
    if not len(annotated):
        raise NogsError(f"{dataset} holds no sequence: there is nothing to report")
    known = rows.select(annotated).with_format("numpy")[:]
    names = rows.features["label"]
    # Released sequences may not say their image's class: -1.
    labels = [names.int2str(int(n)) if n >= 0 else "unknown" for n in known["label"]]
    epe = known["epe"].astype(np.float32)
    parts = {name.partition("/")[0] for name in record["files"]}
    maps = None
    if "maps" in parts:
        kept = load(dataset, "maps", split="train").with_format("numpy")[:READ]
        maps = kept["epe_map"] if (kept["index"] == known["index"][:READ]).all() else None
    pictures = None
    shown = load_pictured(dataset, images, task)
    if shown is not None:
        chosen = [shown[int(row)]["image"].convert("RGB") for row in annotated[:READ]]
        pictures = np.stack([np.asarray(image, np.float32) / 255 for image in chosen])
    return ReportData(
        record=record,
        grid=recorded_grid(folder),
        index=known["index"],
        labels=labels,
        glimpses=known["glimpses"],
        epe=epe if (epe >= 0).all() else None,
        maps=maps,
        images=pictures,
    )
