"""Tiny tasks on which everything can be enumerated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Label,
    Pretraining,
    Splits,
    Task,
    Training,
    TrainingProtocol,
)

SIZE, GLIMPSE = 12, 4


def corner_images(seed: int, count: int) -> LabelledImages:
    """12 x 12 images whose label (0 .. 3) is the brightness of the lower right corner alone.

    Elsewhere they are noise that tells nothing.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=(count, 1))
    images = rng.integers(0, 256, size=(count, 1, SIZE, SIZE)).astype(np.uint8)
    images[:, 0, 8:, 8:] = (labels * 85)[:, :, None]
    return LabelledImages(images, labels)


@dataclass(frozen=True)
class Corner:
    """Source of `corner_images`."""

    summary: str = "made by the tests"
    sizes: tuple[tuple[str, int], ...] = (
        ("train", 400),
        ("validation", 60),
        ("test", 80),
        ("avp_validation", 50),
    )

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        numbers = [name for name, _ in self.sizes]
        return corner_images(numbers.index(split), dict(self.sizes)[split])


def corner_task(**changes: object) -> Task:
    """A task that is solved by one glimpse at the lower right corner."""
    task = Task(
        name="corner",
        version=1,
        family="corner",
        description="The lower right corner tells all",
        channels=1,
        labels=(Label("brightness", ("black", "dark", "light", "white")),),
        T=2,
        grid=GlimpseGrid.even(SIZE, GLIMPSE, 4),
        splits=Splits(400, 60, 80, 50),
        source=Corner(),
        training=Training(
            batch_size=16, hidden=16, location_hidden=8, supervised=40, evaluation_period=10
        ),
        protocols=(
            TrainingProtocol("scratch", 20, 0.5),
            TrainingProtocol("pretrained", 20, 0.5, Pretraining(20, 1e-3, 10)),
        ),
        avp=AvpTraining("conv", epochs=2, batch_size=50, learning_rate=5e-3),
        annotation=Annotation(
            images=30,
            bank_images=150,
            criterion="entropy",
            search="exhaustive",
            samples=20,
            first_samples=100,
            components=0,
            effective_samples=30.0,
        ),
        licence="CC0-1.0",
        images_licence="CC0-1.0",
        images_may_ship=True,
    )
    return replace(task, **changes)
