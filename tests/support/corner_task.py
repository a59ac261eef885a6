"""A task small enough to train in a test: only the bottom right corner tells the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nogs_bench.images.labelled import LabelledImages
from nogs_bench.sequences.annotations import Annotations
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

SPLITS = Splits(train=96, validation=64, test=40, avp_validation=8)
TELLING = 8


@dataclass(frozen=True)
class Corners:
    """12 x 12 noise, the bottom right 4 x 4 black (class 0) or white (class 1)."""

    summary: str = "drawn by numpy"

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        rng = np.random.default_rng(list(split.encode()))
        n = getattr(SPLITS, split)
        images = rng.integers(0, 256, (n, 1, 12, 12)).astype(np.uint8)
        labels = rng.integers(2, size=(n, 1))
        images[:, :, 8:, 8:] = 255 * labels[:, :, None, None]
        return LabelledImages(images, labels)


@dataclass(frozen=True)
class Inverted:
    """The images of `Corners`, black for white: the same labels and counts, other images."""

    summary: str = "drawn by numpy"

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        rows = Corners().load(split)
        return LabelledImages(255 - rows.images, rows.labels)


CORNER = Task(
    name="corner",
    version=1,
    family="corner",
    description="black or white in the bottom right corner",
    channels=1,
    labels=(Label("shade", ("black", "white")),),
    T=2,
    grid=GlimpseGrid.even(image_size=12, glimpse_size=4, stride=4),
    splits=SPLITS,
    source=Corners(),
    training=Training(
        batch_size=16,
        learning_rate=5e-3,
        hidden=8,
        location_hidden=8,
        supervised=48,
        supervision_reduction="mean",
        evaluation_period=10,
        rollouts=2,
    ),
    protocols=(
        TrainingProtocol("scratch", iterations=20, target_accuracy=0.6),
        TrainingProtocol("pretrained", 20, 0.6, Pretraining(20, 1e-2, evaluation_period=10)),
    ),
    avp=AvpTraining("conv", epochs=1),
    annotation=Annotation(images=48, bank_images=32),
    licence="MIT",
    images_licence="MIT",
    images_may_ship=True,
)


def telling_annotations(n: int = 48) -> Annotations:
    """Sequences of the first n images: the telling corner (cell 8), twice."""
    labels = Corners().load("train").labels[:n, 0]
    glimpses = np.full((n, CORNER.T, 2), 8)
    return Annotations("telling", np.arange(n), labels, glimpses, np.zeros((n, 2), np.float32))


def write_sequences(folder: Path, n: int = 48, **columns: list) -> Path:
    """`telling_annotations` as a dataset folder's `annotations` config; `columns` replace."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = telling_annotations(n)
    table = {
        "index": rows.index.tolist(),
        "label": rows.labels.tolist(),
        "annotated": [True] * n,
        "glimpses": rows.glimpses.tolist(),
        "epe": rows.epe.tolist(),
    } | columns
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "annotations" / "train.parquet")
    return folder


def write_maps(folder: Path, epe: np.ndarray, steps: int = CORNER.T) -> Path:
    """A dataset folder's config `maps` whose first step's map is `epe` (9,); later ones are 9."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    maps = np.full((1, steps, 3, 3), 9.0, np.float32)
    maps[:, 0] = epe.reshape(3, 3)
    (folder / "maps").mkdir(parents=True, exist_ok=True)
    table = pa.table({"index": [0], "epe_map": maps.tolist()})
    pq.write_table(table, folder / "maps" / "train.parquet")
    return folder
