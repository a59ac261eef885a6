"""Caltech-UCSD Birds 200-2011 (Wah et al. 2011): 200 species, cropped to the bird, 128 x 128."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, PreparedFolder
from nogs_bench.tasks.families.cub_species import SPECIES
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Convergence,
    Label,
    Pretraining,
    Splits,
    Task,
    Training,
    TrainingProtocol,
    register_task,
)

DATASET = "cub"
IMAGES = 11_788
ATTRIBUTES = 312
ANNOTATED = 1_000
SPLITS = Splits(train=5_120, validation=874, test=5_751, avp_validation=874)
LABELS = (
    Label("species", SPECIES),
    *(Label(f"attribute_{number}", ("no", "yes")) for number in range(1, ATTRIBUTES + 1)),
)

# Keypoints, in the order of CUB's parts/parts.txt.
PARTS = (
    *("back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg"),
    *("left wing", "nape", "right eye", "right leg", "right wing", "tail", "throat"),
)

# What PS-HGS looks at, in this order (section 6): of each, the first part that is visible. CUB
# marks legs, but no feet.
LOOKED_AT = (
    ("beak",),
    ("left eye", "right eye"),
    ("forehead",),
    ("belly",),
    ("left leg", "right leg"),
)

# Appendix B.5's 80 is v in exp(-d^2 / v), d^2 the squared distance of pixels divided by 0.12: the
# Gaussian's own standard deviation, in pixel values 0 .. 1, is 0.12 sqrt(v / 2).
PIXEL_SCALE = 0.12
SIGMA = PIXEL_SCALE * sqrt(80 / 2)

EPOCH = SPLITS.train // 64
REFERENCE = {
    "ram+": {"iterations": 11_600, "test_accuracy": 0.563},
    "ps-hgs": {"iterations": 960, "test_accuracy": 0.520},
    "ps-nogs": {"iterations": 640, "test_accuracy": 0.554},
    "ps-h1": {"iterations": 240},
    "ps-h5": {"iterations": 400},
    "source": "Harvey et al., arXiv:1906.05462, Table 1 and appendix B.3",
}


@dataclass(frozen=True)
class CubFolder(PreparedFolder):
    """CUB as `prepare` leaves it, with its keypoints; implements `KnowsKeypoints`."""

    def keypoints(
        self, images: LabelledImages, rows: np.ndarray, data: Path | None = None
    ) -> np.ndarray:
        """All 15 parts, those of `LOOKED_AT` first, the others in CUB's order."""
        return ordered_parts(np.asarray(self.load_parts("train", data)[rows]))


def ordered_parts(parts: np.ndarray) -> np.ndarray:
    """float64 (n, 15, 2) places, NaN where hidden, of `parts` (n, 15, 3) (row, col, visible)."""
    visible = parts[..., 2] == 1
    places = np.where(visible[..., None], parts[..., :2], np.nan)
    first = []
    for names in LOOKED_AT:
        numbers = np.array([PARTS.index(name) for name in names])
        first.append(numbers[visible[:, numbers].argmax(1)])
    order = np.stack(first, axis=1)
    other = np.ones(visible.shape, bool)
    np.put_along_axis(other, order, False, axis=1)
    rest = np.nonzero(other)[1].reshape(len(parts), -1)
    order = np.concatenate([order, rest], axis=1)
    return np.take_along_axis(places, order[..., None], axis=1).astype(np.float64)


SOURCE = CubFolder(
    dataset=DATASET,
    channels=3,
    image_size=128,
    labels=len(LABELS),
    splits=("train", "validation", "test", "avp_validation"),
    how=(
        "CUB-200-2011's images may not be redistributed: get CUB_200_2011 from Caltech "
        "(docs/cub.md), run nogs-bench prepare cub, then give --data DIR"
    ),
)


def split_numbers(
    is_training: np.ndarray,
    excluded: Collection[int] = (),
    annotated: int = ANNOTATED,
    validation: int = SPLITS.validation,
) -> dict[str, np.ndarray]:
    """Which images each split has, as int64 numbers (lines of `images.txt`, from 0), in order.

    The official training images are divided once and for all: `annotated` of them, evenly spaced
    (those of the released sequences, in their order), come first in `train`; of the others
    `validation`, evenly spaced, are held out, and the rest follow in `train`. The paper does not
    say which 874 it held out. `test` is the official one without `excluded`.

    **Arguments**

    - `is_training`: bool (n,), `train_test_split.txt`.
    - `excluded`: image numbers to leave out, all of the official test set.

    Raises `NogsError` if an excluded image is not a test image.
    """
    training = np.flatnonzero(is_training)
    wrong = sorted(set(excluded) - set(np.flatnonzero(~is_training).tolist()))
    if wrong:
        raise NogsError(
            f"image {wrong[0] + 1} of images.txt cannot be excluded: it is not a test image, and "
            "the paper's 43 are (5,794 - 43 = 5,751); correct the exclusion list"
        )
    first, rest = _evenly(training, annotated)
    held_out, rest = _evenly(rest, validation)
    test = np.setdiff1d(np.flatnonzero(~is_training), list(excluded)).astype(np.int64)
    return {
        "train": np.concatenate([first, rest]),
        "validation": held_out,
        "test": test,
    }


def _evenly(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` of `numbers`, evenly spaced from the first to the last, and the others."""
    if not 0 <= count <= len(numbers):
        raise NogsError(
            f"cannot take {count} of {len(numbers)} training images; are files missing?"
        )
    chosen = np.zeros(len(numbers), bool)
    chosen[np.linspace(0, len(numbers) - 1, count).astype(np.int64)] = True
    return numbers[chosen], numbers[~chosen]


CUB = register_task(
    Task(
        name="cub-200",
        version=1,
        family=DATASET,
        description="200 species of birds, cropped to 128 x 128, five 32 x 32 glimpses; the images "
        "may not be redistributed",
        channels=3,
        labels=LABELS,
        T=5,
        # 13 x 13 cells, as the released sequences use; the paper says 12 x 12 (docs/cub.md).
        grid=GlimpseGrid.even(image_size=128, glimpse_size=32, stride=8),
        splits=SPLITS,
        source=SOURCE,
        training=Training(
            batch_size=64,
            learning_rate=5e-5,
            embedder="vgg16-12",
            hidden=1024,
            supervised=ANNOTATED,
            supervision_reduction="sum",
            location_gradient=False,
            evaluation_period=EPOCH,
            rollouts=5,
        ),
        protocols=(
            TrainingProtocol(
                "pretrained",
                iterations=200 * EPOCH,
                target_accuracy=0.54,
                pretraining=Pretraining(
                    iterations=250 * EPOCH,
                    learning_rate=5e-5,
                    evaluation_period=EPOCH,
                    glimpses="heuristic",
                ),
            ),
        ),
        avp=AvpTraining("timm:densenet121", epochs=183, batch_size=64, learning_rate=1e-4),
        annotation=Annotation(
            images=ANNOTATED,
            reserved=ANNOTATED,
            bank_images=1_500_000,
            criterion="entropy",
            search="exhaustive",
            samples=100,
            first_samples=4_000,
            components=256,
            retrieved=500,
            sigma=(SIGMA,) * 4,
            effective_samples=500.0,
            mirrored=True,
            observed="sample",
        ),
        convergence=Convergence(criterion="accuracy"),
        reference=REFERENCE,
        licence="Apache-2.0",
        images_licence="Caltech's terms: non-commercial research and education, no redistribution",
        images_may_ship=False,
        source_datasets=("extended|other-cub-200-2011",),
        caveats=(
            "Photographs of North American birds from the web, the bird mostly large and in the "
            "middle; species and parts were marked by paid volunteers, with some errors.",
            "Some of the test photographs are in ImageNet too: networks pre-trained on it have "
            "seen them.",
        ),
    )
)
