"""Where networks look: location maps of entries, and glimpse sequences with their EPE maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nogs_bench.figures import png_address
from nogs_bench.files import read_provenance
from nogs_bench.images import data_folder
from nogs_bench.leaderboard.charts import heat_png
from nogs_bench.results import RunResult, location_counts
from nogs_bench.sequences import load_annotations, load_maps
from nogs_bench.tasks import GlimpseGrid, Task, load_split, recorded_task

AMONG = 100  # sequences that the gallery chooses from


@dataclass(frozen=True)
class StepMap:
    """One step's map as a picture: `image` a `data:` address, `label` what it shows, in words."""

    image: str
    label: str


def counted(runs: Sequence[RunResult], grid: GlimpseGrid) -> np.ndarray | None:
    """`location_counts` of those runs of an entry that say where they looked; None if none does."""
    located = [run for run in runs if run.locations]
    if not located:
        return None
    return location_counts(located, len(located[0].locations or ()), grid.cells)


def spread(counts: np.ndarray) -> float:
    """Entropy of where a step looks, as a share of that of looking everywhere alike: 0..1."""
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(share * np.log(share)).sum()) / math.log(len(counts)))


def location_maps(runs: Sequence[RunResult], grid: GlimpseGrid) -> list[StepMap]:
    """Figure 4 of the paper for an entry: a map for each step, over all its seeds' rollouts."""
    counts = counted(runs, grid)
    if counts is None:
        return []
    maps = []
    for t, step in enumerate(counts):
        row, col = grid.index_to_pixel(np.array(int(step.argmax())))
        most = 100 * step.max() / step.sum()
        label = (
            f"Glimpse {t + 1}: most often, {most:.0f} %, at row {row}, column {col}; "
            f"spread {spread(step):.2f}"
        )
        maps.append(StepMap(heat_png(step.reshape(grid.shape).astype(float)), label))
    return maps


@dataclass(frozen=True)
class GlimpseSequence:
    """A glimpse sequence for the gallery: the image, its glimpses, the map before each.

    - `boxes`: (left, top) of each glimpse, pixels; `glimpse`, `size`: sides in pixels.
    - `crosses`: (x, y) of the choice in each map, % of its sides.
    """

    task: str
    label: str
    image: str
    size: int
    glimpse: int
    boxes: tuple[tuple[int, int], ...]
    maps: tuple[StepMap, ...]
    crosses: tuple[tuple[float, float], ...]


def gallery(folder: Path, count: int, data: str | Path | None = None) -> list[GlimpseSequence]:
    """The first `count` sequences of a dataset folder, of different classes as far as they go.

    The images come from the task; none are shown of a task whose images may not be redistributed.
    Raises `NogsError` if the folder is no dataset with maps, its files are not those that it
    records, or its task or images are missing.
    """
    record = read_provenance(folder)
    task = recorded_task(record.get("task"), folder)
    if not task.images_may_ship:
        return []
    rows = load_annotations(task, folder).first(AMONG)
    maps = load_maps(task, folder, rows.index)
    train = load_split(task, "train", data_folder(data))
    rows.check_images(train, task)
    chosen: dict[int, int] = {}
    for number, label in enumerate(rows.labels):
        chosen.setdefault(int(label), number)
    return [
        _sequence(task, train.images[rows.index[n]], label, rows.glimpses[n], maps[n])
        for label, n in list(chosen.items())[:count]
    ]


def _sequence(
    task: Task, image: np.ndarray, label: int, glimpses: np.ndarray, maps: np.ndarray
) -> GlimpseSequence:
    """`glimpses` (T, 2), `maps` (T, cells)."""
    grid = task.grid
    grids = maps.reshape(task.T, *grid.shape)
    cells = [np.unravel_index(int(c), grid.shape) for c in grid.pixel_to_index(glimpses)]
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    return GlimpseSequence(
        task=task.name,
        label=task.classes[label],
        image=png_address(pixels),
        size=grid.image_size,
        glimpse=grid.glimpse_size,
        boxes=tuple((int(col), int(top)) for top, col in glimpses),
        maps=tuple(
            StepMap(heat_png(values), _said(values, t, glimpses[t]))
            for t, values in enumerate(grids)
        ),
        crosses=tuple(
            (100 * (int(c) + 0.5) / grid.shape[1], 100 * (int(r) + 0.5) / grid.shape[0])
            for r, c in cells
        ),
    )


def _said(values: np.ndarray, t: int, glimpse: np.ndarray) -> str:
    low, high = np.nanmin(values), np.nanmax(values)
    return (
        f"Expected posterior entropy before glimpse {t + 1}, {low:.2f} to {high:.2f} nats; "
        f"least at row {glimpse[0]}, column {glimpse[1]}"
    )
