"""A family of two tasks on which everything can be enumerated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nogs_bench.images.labelled import LabelledImages
from nogs_bench.images.labels import Label
from tiny import corner_images, corner_task


def two_corners(seed, count):
    """Label 0 is the brightness of the lower right corner, label 1 that of the upper left one."""
    images = corner_images(seed, count)
    other = np.random.default_rng(seed + 100).integers(2, size=(count, 1))
    images.images[:, 0, :4, :4] = (other * 255)[:, :, None]
    return LabelledImages(images.images, np.concatenate([images.labels, other], axis=1))


@dataclass(frozen=True)
class TwoCorners:
    summary: str = "made by the tests"

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        sizes = {"train": 400, "validation": 60, "test": 80, "avp_validation": 50}
        return two_corners(list(sizes).index(split), sizes[split])


def family():
    task = corner_task(T=3)
    labels = (task.labels[0], Label("other", ("black", "white")))
    task = replace(task, family="corners", labels=labels, source=TwoCorners())
    return replace(task, name="corners-right"), replace(task, name="corners-left", target=1)
