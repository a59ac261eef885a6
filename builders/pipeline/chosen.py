"""Sequences that a posterior chose for images that train it, for another round of training.

The posterior is trained on uniform glimpses and asked about chosen ones. Trained on some of its own
as well, it is asked about what it knows. Cells chosen for a few images are shown of any: these few,
seen again and again at the same cells, would be learned by heart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from nogs_bench.builders.search import Annotator, Work, annotate_all, gathered, shards_of
from nogs_bench.executors import LocalExecutor
from nogs_bench.images import LabelledImages

# Completions depend on an image's number: these images are not those of the training split.
FIRST_NUMBER = 2**32


def choose(annotator: Annotator, images: LabelledImages, path: Path, folder: Path) -> None:
    """Annotate `images` and write their sequences to `path`.

    Finished shards wait in `folder`, which the stage removes.
    """

    def load() -> Work:
        numbers = FIRST_NUMBER + np.arange(len(images))
        return Work(annotator, images.images, numbers, annotator.first_step())

    shards = shards_of(len(images), folder)
    annotate_all(load, shards, LocalExecutor(1), annotator.device)
    cells = gathered(shards, ["cells"])["cells"]
    save_file({"cells": np.ascontiguousarray(cells.reshape(-1, cells.shape[-1]))}, path)


def load_chosen(path: Path) -> np.ndarray:
    """int64 (m, T): the cells that `choose` wrote."""
    return load_file(path)["cells"]
