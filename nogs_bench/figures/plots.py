"""Figures: how a glimpse sequence was chosen, and how training went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.texts import rate_text
from nogs_bench.files import PROVENANCE, read_provenance
from nogs_bench.methods import METHODS
from nogs_bench.results import RunResult, entries_of, load_results
from nogs_bench.sequences import dataset_folder, load, load_pictured
from nogs_bench.tasks import TASKS, GlimpseGrid, Task, get_task

UNSEEN = (0.86, 0.87, 0.89)
CHOSEN = "#e4002b"
COLOURS = ("#4c566a", "#e4002b", "#0072b2", "#e69f00", "#009e73", "#8a4fbf")


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
                mesh = _draw_map(figure.add_subplot(grid[0, t + 1]), case, case.maps[t], t)
                _draw_bar(figure, figure.add_subplot(grid[1, t + 1]), mesh)
            if case.image is not None:
                _draw_seen(figure.add_subplot(grid[-1, t + 1]), case, case.image, t)
        if case.maps is not None:
            _draw_note(figure.add_subplot(grid[0, 0]), "expected\nposterior\nentropy,\nnats")
        if case.image is not None:
            _draw_image(figure.add_subplot(grid[-1, 0]), case.image, f"{name}: {case.label}")
    return Path(out)


def plot_curves(results: str | Path, out: str | Path, task: str | Task | None = None) -> Path:
    """Draw validation accuracy against iterations for every result in a folder; returns `out`.

    There is one panel for each task, protocol and model. It has one line for each method and
    learning rate: the mean over seeds, in a band from the least seed to the greatest. The task's
    target is a dotted line.

    **Arguments**

    - `results`: the folder that `nogs-bench evaluate` wrote.
    - `out`: a `.png` or `.svg` file.
    - `task`: registers a task of the user's own (`FILE.py:NAME`) first.

    Raises `NogsError` if there are no results, or they do not belong together, as `score` does.
    """
    if task is not None:
        get_task(task)
    panels = entries_of(load_results(Path(results)))
    with drawing(Path(out), (4.6 * len(panels), 3.2)) as figure:
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, entries in zip(every, panels, strict=True):
            _draw_curves(axes, entries)
    return Path(out)


# A method and a learning rate: runs of different rates are different entries.
Line = tuple[str, float]


def line_names(lines: Iterable[Line]) -> dict[Line, str]:
    """Each line by its method, in the registry's order; and its rate, where there are several."""
    known = METHODS.names()
    distinct = set(lines)
    found = [method for method, _ in distinct]
    order = sorted(
        distinct,
        key=lambda line: (known.index(line[0]) if line[0] in known else len(known), line),
    )
    return {
        (method, rate): method if found.count(method) == 1 else f"{method} at {rate_text(rate)}"
        for method, rate in order
    }


def colour_of(method: str) -> str:
    """The method's colour in every figure."""
    known = METHODS.names()
    return COLOURS[(known.index(method) if method in known else len(known)) % len(COLOURS)]


def _draw_curves(axes: Any, entries: Sequence[list[RunResult]]) -> None:
    first = entries[0][0]
    task = TASKS[first.task]
    judged_by = task.judged_by
    lines = {(runs[0].method, runs[0].hyperparameters.learning_rate): runs for runs in entries}
    drawn: list[str] = []
    for line, name in line_names(lines).items():
        method, runs = line[0], lines[line]
        colour, seeds = colour_of(method), len(runs)
        style = ("-", "--", "-.", ":")[drawn.count(colour) % 4]
        drawn.append(colour)
        at = np.array(sorted(set.intersection(*({p.iteration for p in r.curve} for r in runs))))
        values = np.array(
            [[getattr(p, judged_by) or 0.0 for p in run.curve if p.iteration in at] for run in runs]
        )
        label = f"{name} ({seeds} seed{'s' if seeds > 1 else ''})"
        axes.plot(at, 100 * values.mean(0), style, color=colour, linewidth=1.6, label=label)
        axes.fill_between(
            at, 100 * values.min(0), 100 * values.max(0), color=colour, alpha=0.18, linewidth=0
        )
    target = 100 * task.protocol(first.protocol).target_accuracy
    axes.axhline(target, color="0.5", linewidth=0.9, linestyle=":", label="target")
    axes.set_title(f"{task.name}, {first.protocol}, {first.model.name}", fontsize=9, loc="left")
    axes.set(
        xlabel="iterations",
        ylabel=f"validation {judged_by.replace('_', ' ')}, %",
        xlim=(0, None),
    )
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


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


def recorded_grid(folder: Path) -> GlimpseGrid:
    """The grid that the dataset records."""
    record = read_provenance(folder)
    try:
        grid = record["grid"]
        sizes = int(grid["image_size"]), int(grid["glimpse_size"])
        return GlimpseGrid(*sizes, tuple(grid["rows"]), tuple(grid["cols"]))
    except (ValueError, KeyError, TypeError) as error:
        path = folder / PROVENANCE
        raise NogsError(f"{path} does not record the dataset's grid; build it again") from error


def _draw_image(axes: Any, image: np.ndarray, title: str) -> None:
    axes.imshow(image, interpolation="nearest", extent=(0, image.shape[1], image.shape[0], 0))
    axes.set_title(title, fontsize=8, pad=3)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.75", linewidth=0.8)


def _draw_map(axes: Any, case: EpeCase, epe: np.ndarray, t: int) -> Any:
    """The map over the image's own area, each cell around the centre of its glimpse."""
    edges = [cell_edges(steps, case.grid) for steps in (case.grid.cols, case.grid.rows)]
    values = np.ma.masked_invalid(epe)
    mesh = axes.pcolormesh(*edges, values, cmap="viridis", rasterized=True)
    row, col = case.glimpses[t] + case.grid.glimpse_size / 2
    axes.plot(col, row, "x", color="white", markersize=9, markeredgewidth=3.6)
    axes.plot(col, row, "x", color=CHOSEN, markersize=8, markeredgewidth=2)
    size = case.grid.image_size
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[], aspect="equal")
    axes.set_title(f"t = {t + 1}", fontsize=9)
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.75", linewidth=0.8)
    return mesh


def cell_edges(steps: tuple[int, ...], grid: GlimpseGrid) -> np.ndarray:
    """Borders between cells whose glimpses begin at `steps`, pixels; the outer ones the image's."""
    centres = np.asarray(steps, float) + grid.glimpse_size / 2
    return np.concatenate([[0], (centres[1:] + centres[:-1]) / 2, [grid.image_size]])


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
