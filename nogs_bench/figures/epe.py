"""How a glimpse sequence was chosen: its maps of the expected posterior entropy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.maps import CHOSEN, UNSEEN, draw_map, frame
from nogs_bench.sequences import dataset_folder, load, load_pictured, recorded_grid
from nogs_bench.tasks import ANY, GlimpseGrid, Task, settled


def plot_epe(
    dataset: str | Path,
    index: int | None,
    out: str | Path,
    images: str | Path | bool | None = None,
    task: str | Task | None = None,
) -> Path:
    """Draw how the sequence of one image was chosen (the paper's figure 2); returns `out`.

    Top row: the expected posterior entropy of every location before each glimpse, in nats, with a
    cross on the chosen one. A search refines only the best cells, so the others are noisier. Bottom
    row: the whole image, then what has been seen of it after each glimpse. If there are no images,
    only the maps are drawn.

    **Arguments**

    - `dataset`: as `load` has it: a folder, a task's name or a name on the Hub; with maps.
    - `index`: number of an annotated training image; None: the first.
    - `out`: a `.png` or `.svg` file.
    - `images`, `task`: as `load` has them, for a dataset without images. None: the task's own, if
      they need no folder.

    Raises `NogsError` if there is no such dataset, it has no maps, or the image is not annotated.
    """
    number, case = _epe_case(dataset, index, images, task)
    return draw_epe(case, f"image {number}", out)


def draw_epe(case: EpeCase, name: str, out: str | Path) -> Path:
    """As `plot_epe`, of a case that has maps, an image, or both; returns `out`."""
    steps = len(case.glimpses)
    heights = [*([1, 0.05] if case.maps is not None else []), *([] if case.image is None else [1])]
    with drawing(Path(out), (1.5 * (steps + 1), 1.76 * sum(heights))) as figure:
        grid = figure.add_gridspec(
            len(heights), steps + 1, height_ratios=heights, hspace=0.14, wspace=0.1
        )
        for t in range(steps):
            if case.maps is not None:
                axes = figure.add_subplot(grid[0, t + 1])
                mesh = draw_map(axes, case.grid, case.maps[t], case.glimpses[t], cmap="viridis")
                axes.set_title(f"t = {t + 1}", fontsize=9)
                _draw_bar(figure, figure.add_subplot(grid[1, t + 1]), mesh)
            if case.image is not None:
                _draw_seen(figure.add_subplot(grid[-1, t + 1]), case, case.image, t)
        if case.maps is not None:
            _draw_note(figure.add_subplot(grid[0, 0]), "expected\nposterior\nentropy,\nnats")
        if case.image is not None:
            _draw_image(figure.add_subplot(grid[-1, 0]), case.image, f"{name}: {case.label}")
    return Path(out)


@dataclass(frozen=True)
class EpeCase:
    """One annotated image: pixels 0..1 (size, size, 3), glimpses (T, 2), maps (T, rows, cols).

    None stands for an image or for maps that the dataset has not.
    """

    grid: GlimpseGrid
    image: np.ndarray | None
    label: str
    glimpses: np.ndarray
    maps: np.ndarray | None


def _epe_case(
    dataset: str | Path,
    index: int | None,
    images: str | Path | bool | None,
    task: str | Task | None,
) -> tuple[int, EpeCase]:
    """An image's number, the first annotated one's for None, and what is drawn of it."""
    plain, maps = (load(dataset, config, split="train") for config in ("annotations", "maps"))
    known = np.asarray(maps["index"])
    if index is None and len(known):
        index = int(known[0])
    index = None if index is None else settled("--index", index, "int", ANY)
    if index is None or not 0 <= index < len(plain):
        raise NogsError(f"--index {index}: {dataset} has training images 0..{len(plain) - 1}")
    where = np.flatnonzero(known == index)
    if not len(where):
        first = known[0] if len(known) else "none"
        raise NogsError(
            f"--index {index}: image is not annotated in {dataset}; the first is {first}"
        )
    rows = load_pictured(dataset, images, task)
    picture = None if rows is None else rows[index]["image"].convert("RGB")
    row = plain[index]
    case = EpeCase(
        grid=recorded_grid(dataset_folder(dataset, "maps")),
        image=None if picture is None else np.asarray(picture, np.float32) / 255,
        label=plain.features["label"].int2str(row["label"]) if row["label"] >= 0 else "unknown",
        glimpses=np.asarray(row["glimpses"]),
        maps=np.asarray(maps[int(where[0])]["epe_map"], np.float32),
    )
    return index, case


def _draw_image(axes: Any, image: np.ndarray, title: str) -> None:
    size = image.shape[0]
    axes.imshow(image, interpolation="nearest", extent=(0, size, size, 0))
    axes.set_title(title, fontsize=8, pad=3)
    frame(axes, size)


def _draw_seen(axes: Any, case: EpeCase, image: np.ndarray, t: int) -> None:
    from matplotlib.patches import Rectangle

    taken = case.grid.pixel_to_index(case.glimpses[: t + 1])
    seen = case.grid.masks[taken].any(0)
    _draw_image(axes, np.where(seen[..., None], image, UNSEEN), "")
    for step, (row, col) in enumerate(case.glimpses[: t + 1]):
        colour, width = (CHOSEN, 1.6) if step == t else ("0.45", 0.7)
        side = case.grid.glimpse_size
        axes.add_patch(Rectangle((col, row), side, side, fill=False, ec=colour, lw=width))


def _draw_bar(figure: Any, axes: Any, mesh: Any) -> None:
    """The map's colours, with its least and greatest value."""
    bar = figure.colorbar(mesh, cax=axes, orientation="horizontal", ticks=[])
    bar.outline.set_visible(False)
    for value, side in zip(mesh.get_clim(), ("left", "right"), strict=True):
        at = {"left": 0.0, "right": 1.0}[side]
        place = {"transform": axes.transAxes, "ha": side, "va": "top"}
        axes.text(at, -0.5, f"{value:.2f}", fontsize=7, color="0.35", **place)


def _draw_note(axes: Any, text: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.35")
