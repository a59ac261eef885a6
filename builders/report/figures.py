"""Figures that only a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nogs_bench.builders.report.data import ReportData
from nogs_bench.builders.report.procedure import Procedure
from nogs_bench.figures import UNSEEN, draw_map, drawing

COLOUR = "#0072b2"


def draw_seen(data: ReportData, count: int, out: Path) -> Path:
    """Draw `count` images above what all glimpses of their sequences show (figure 13)."""
    assert data.images is not None
    shown = data.images[:count]
    with drawing(out, (1.0 * len(shown), 2.1)) as figure:
        panels = figure.subplots(2, len(shown), squeeze=False)
        for column, image in enumerate(shown):
            taken = data.grid.pixel_to_index(data.glimpses[column])
            seen = data.grid.masks[taken].any(0)
            panels[0, column].imshow(image, interpolation="nearest")
            panels[1, column].imshow(
                np.where(seen[..., None], image, UNSEEN), interpolation="nearest"
            )
            panels[0, column].set_title(data.labels[column], fontsize=7, pad=2)
        for axes in panels.flat:
            axes.set(xticks=[], yticks=[])
    return out


def draw_epe_steps(epe: np.ndarray, out: Path) -> Path:
    """Draw the median of `epe`, (n, T) nats, at each step, and bands of its quantiles."""
    steps = np.arange(1, epe.shape[1] + 1)
    bands = np.quantile(epe, (0.1, 0.25, 0.5, 0.75, 0.9), axis=0)
    with drawing(out, (5.2, 2.6)) as figure:
        axes = figure.add_subplot()
        for low, high in ((0, 4), (1, 3)):
            axes.fill_between(steps, bands[low], bands[high], color=COLOUR, alpha=0.18, linewidth=0)
        axes.plot(steps, bands[2], color=COLOUR, marker="o", markersize=3)
        axes.set(xlabel="glimpse", ylabel="nats", xticks=steps, ylim=(0, None))
    return out


def draw_effective_samples(sizes: Sequence[float], out: Path) -> Path:
    """Draw the mean effective sample size at each step, on a logarithmic axis."""
    steps = np.arange(1, len(sizes) + 1)
    with drawing(out, (5.2, 2.2)) as figure:
        axes = figure.add_subplot()
        bars = axes.bar(steps, sizes, width=0.6, color=COLOUR)
        axes.bar_label(bars, [f"{size:,.0f}" for size in sizes], fontsize=8)
        axes.set(xlabel="glimpse", ylabel="images", xticks=steps, yscale="log")
        axes.set_ylim(min(1.0, *sizes), 3 * max(sizes))
    return out


def draw_procedure(procedure: Procedure, epe: np.ndarray, out: Path) -> Path:
    """Draw how a glimpse was chosen (figure 7): what was seen, completions, their maps, the mean.

    - `epe`: (grid rows, grid columns), nats, the mean over all completions as the build had it.
    """
    grid, count = procedure.grid, len(procedure.completions)
    seen = grid.masks[procedure.prefix].any(0)
    maps = procedure.nats.reshape(count, *grid.shape)
    with drawing(out, (1.5 * (count + 2), 3.2)) as figure:
        panels = figure.subplots(2, count + 2, squeeze=False)
        for axes in panels.flat:
            axes.set(xticks=[], yticks=[], aspect="equal")
        panels[1, 0].set_visible(False)
        panels[0, -1].set_visible(False)
        shown = np.where(seen[..., None], _rgb(procedure.image), UNSEEN)
        panels[0, 0].imshow(shown, interpolation="nearest")
        panels[0, 0].set_title("seen", fontsize=8)
        for n in range(count):
            panels[0, n + 1].imshow(_rgb(procedure.completions[n]), interpolation="nearest")
            panels[0, n + 1].set_title(f"completion {n + 1}", fontsize=8)
            draw_map(panels[1, n + 1], grid, maps[n], None, cmap="viridis")
            panels[1, n + 1].set_title(f"{maps[n].min():.2f} to {maps[n].max():.2f}", fontsize=8)
        mean = panels[1, -1]
        draw_map(mean, grid, epe, grid.pixels[np.nanargmin(epe)], cmap="viridis")
        mean.set_title("mean over all", fontsize=8)
    return out


def _rgb(image: np.ndarray) -> np.ndarray:
    """(size, size, 3), 0 .. 1, of uint8 (channels, size, size) with one channel or three."""
    return np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3)) / 255
