"""Sequences that a posterior chose for images that train it, for another round of training.

The posterior is trained on uniform glimpses and asked about chosen ones. Trained on some of its own
as well, it is asked about what it knows. Cells chosen for a few images are shown of any: these few,
seen again and again at the same cells, would be learned by heart. What teaches need not be the
best of all cells: few completions and a cheap search do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from nogs_bench.builders.search import (
    Annotator,
    Found,
    Work,
    annotate_all,
    gathered,
    shards_of,
)
from nogs_bench.executors import Executor
from nogs_bench.files import Mirror, read_arrays, write_arrays
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import Annotation

# Completions depend on an image's number: these images are not those of the training split.
FIRST_NUMBER = 2**32
SEARCH, SAMPLES, FIRST_SAMPLES = "halving", 400, 4000


def cheaply(annotation: Annotation) -> Annotation:
    """How such sequences are searched by a build whose own are searched as `annotation` says."""
    return replace(
        annotation,
        search=SEARCH,
        samples=min(annotation.samples, SAMPLES),
        first_samples=min(annotation.first_samples, FIRST_SAMPLES),
    )


def choose(
    annotator: Callable[[Path], Annotator],
    posterior: Path,
    images: LabelledImages,
    path: Path,
    folder: Path,
    executor: Executor,
    mirror: Mirror,
) -> None:
    """Annotate `images` and write their sequences to `path`.

    - `annotator`: makes the build's, with the posterior of a file; picklable.
    - `folder`: of finished shards and of what workers are given; the stage removes it. They are
      kept in `mirror`'s store too.
    """
    given = folder / "given.safetensors"
    cheap = _cheap(annotator(posterior))
    first = cheap.first_step()
    cells = np.array([step.cell for step in first])
    epe = np.stack([step.epe for step in first])
    write_arrays(given, {"images": images.images, "first_cell": cells, "first_epe": epe})
    mirror.push(given)
    load = _Load(annotator, posterior, given, mirror)
    shards = shards_of(len(images), folder / "shards", len(cheap.targets), mirror)
    annotate_all(load, shards, executor, cheap.device)
    made = gathered(shards, ["cells"])["cells"]
    save_file({"cells": np.ascontiguousarray(made.reshape(-1, made.shape[-1]))}, path)


@dataclass(frozen=True)
class _Load:
    """What a worker annotates with."""

    annotator: Callable[[Path], Annotator]
    posterior: Path
    given: Path
    mirror: Mirror

    def __call__(self) -> Work:
        if not self.given.exists():
            self.mirror.pull(self.given)
        given = read_arrays(self.given)
        found = [
            Found(int(cell), epe)
            for cell, epe in zip(given["first_cell"], given["first_epe"], strict=True)
        ]
        numbers = FIRST_NUMBER + np.arange(len(given["images"]))
        return Work(_cheap(self.annotator(self.posterior)), given["images"], numbers, found)


def _cheap(annotator: Annotator) -> Annotator:
    task = annotator.task
    return replace(annotator, task=replace(task, annotation=cheaply(task.annotation)))


def load_chosen(path: Path) -> np.ndarray:
    """int64 (m, T): the cells that `choose` wrote."""
    return load_file(path)["cells"]
