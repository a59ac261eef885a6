"""The completions beside each other: how near, how varied and how slow their samples are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.completion import COMPLETIONS, Completion, fit_completion
from nogs_bench.device import choose_device, determined, in_turn
from nogs_bench.errors import NogsError
from nogs_bench.images import data_folder
from nogs_bench.tasks import GlimpseGrid, Task, get_task, merged_settings, with_settings


@dataclass(frozen=True)
class CompletionMeasure:
    """Completions of some images from their glimpses; distances are root mean squares over
    pixels, completions and images, pixel values in 0 .. 1.

    - `at_glimpses`: between completion and image at the pixels that the glimpses saw: whether the
      completion agrees with what is known.
    - `elsewhere`: the same at all other pixels, which the completion did not see.
    - `diversity`: between two completions of one image, at those other pixels. Samples of the
      true posterior are as far from each other as from the image, so that their `diversity` is
      `elsewhere`; less means that they are too much alike.
    - `effective_samples`: as the completion states it, mean over images.
    - `setup_seconds`: for fitting or training it; `seconds`: for one completion.
    """

    name: str
    at_glimpses: float
    elsewhere: float
    diversity: float
    effective_samples: float
    setup_seconds: float
    seconds: float

    @property
    def coverage(self) -> float | None:
        """`diversity` over `elsewhere`: 1 for samples of the true posterior, 0 if all are equal;
        None where every sample is the image."""
        return self.diversity / self.elsewhere if self.elsewhere else None


@in_turn("compare_completions")
def compare_completions(
    task: str | Task,
    names: Sequence[str] = (),
    images: int = 8,
    samples: int = 32,
    glimpses: int | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    deterministic: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> list[CompletionMeasure]:
    """Fit every completion to the task's bank and complete the first training images.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, or a `Task`.
    - `names`: in `COMPLETIONS` (default: all).
    - `images`, `samples`: how many images, and completions of each.
    - `glimpses`: how many random glimpses are known of an image (default: the task's T - 1).
    - `data`: folder of the task's images, where they need one.
    - `deterministic`: as `nogs_bench.Where` has it.
    - `overrides`: settings of the task's `annotation` and `avp`, as `build` takes them.

    Raises `NogsError` on bad input.
    """
    task = with_settings(get_task(task), merged_settings("compare", overrides))
    device = choose_device(device)
    known = max(1, task.T - 1) if glimpses is None else glimpses
    if known < 1 or samples < 2 or images < 1:
        raise NogsError("compare completions: give at least 1 glimpse, 1 image and 2 samples")
    registry = COMPLETIONS
    names = list(names) or registry.names()
    # Unknown names are said before any work, and what is not installed.
    for name in names:
        registry[name].config(task, device)
    roles = assign_roles(task, images, seed, data_folder(data))
    cells = np.random.default_rng([seed, 3]).integers(task.grid.cells, size=(images, known))
    measures = []
    with determined(deterministic):
        for name in names:
            start = time.perf_counter()
            completion = fit_completion(name, task, roles.bank, seed, device)
            setup = time.perf_counter() - start
            shown = roles.annotated.images
            found = measure(name, completion, shown, cells, task.grid, samples, seed, setup)
            measures.append(found)
    return measures


def measure(
    name: str,
    completion: Completion,
    images: np.ndarray,
    cells: np.ndarray,
    grid: GlimpseGrid,
    samples: int,
    seed: int = 0,
    setup_seconds: float = 0.0,
) -> CompletionMeasure:
    """Measure completions of images, uint8 (n, channels, size, size), from cells, int64 (n, t)."""
    squares = np.zeros((len(images), 3))
    effective, seconds = 0.0, 0.0
    for number, (image, taken) in enumerate(zip(images, cells, strict=True)):
        start = time.perf_counter()
        query = completion.query(image)
        for cell in taken:
            query.observe(int(cell))
        drawn = query.draw(samples, np.random.default_rng([seed, 4, number]))
        seconds += time.perf_counter() - start
        effective += drawn.effective_samples
        seen = grid.masks[taken].any(0)
        made, truth = drawn.images.astype(np.float64) / 255, image.astype(np.float64) / 255
        gap = np.square(made - truth).mean((0, 1))
        # The mean over pairs of the squared distance is twice the unbiased variance.
        between = 2 * made.var(0, ddof=1).mean(0)
        squares[number] = gap[seen].mean(), _mean(gap[~seen]), _mean(between[~seen])
    at_glimpses, elsewhere, diversity = np.sqrt(squares.mean(0)).tolist()
    count = len(images)
    return CompletionMeasure(
        name=name,
        at_glimpses=at_glimpses,
        elsewhere=elsewhere,
        diversity=diversity,
        effective_samples=effective / count,
        setup_seconds=setup_seconds,
        seconds=seconds / count / samples,
    )


def _mean(values: np.ndarray) -> float:
    """The mean; 0 where the glimpses saw every pixel."""
    return float(values.mean()) if values.size else 0.0
