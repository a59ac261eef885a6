"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes, 28 x 28, ten classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, read_idx
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.handcrafted import box_keypoints
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Label,
    Pretraining,
    Splits,
    Task,
    Training,
    TrainingProtocol,
    register_task,
)

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SPLITS = Splits(train=55_000, validation=2_500, test=10_000, avp_validation=2_500)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
# sha256 of the arrays in the four files, without their headers.
DIGESTS = {
    ("train", "images"): "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
    ("train", "labels"): "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
    ("t10k", "images"): "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
    ("t10k", "labels"): "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
}
HUB_DATASET = "zalando-datasets/fashion_mnist"


@dataclass(frozen=True)
class FashionMnist:
    """The 60,000 training images in file order: train, validation, AVP validation; and the test."""

    summary: str = (
        "Debian's package dataset-fashion-mnist, --data DIR with the four idx files, or the Hub's "
        f"{HUB_DATASET}"
    )

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        starts = {
            "train": (0, SPLITS.train),
            "validation": (SPLITS.train, SPLITS.validation),
            "avp_validation": (SPLITS.train + SPLITS.validation, SPLITS.avp_validation),
            "test": (0, SPLITS.test),
        }
        start, count = starts[split]
        part = "t10k" if split == "test" else "train"
        folder = data or (DEBIAN_FOLDER if DEBIAN_FOLDER.is_dir() else None)
        images, labels = self._read_idx(folder, part) if folder else self._read_hub(part)
        for kind, array in (("images", images), ("labels", labels)):
            if hashlib.sha256(array.astype(np.uint8).tobytes()).hexdigest() != DIGESTS[part, kind]:
                raise NogsError(
                    f"{folder or HUB_DATASET}: the {kind} of {part} are not Fashion-MNIST's, by "
                    "their sha256; get the files again, or make them a task of their own"
                )
        rows = slice(start, start + count)
        return LabelledImages(images[rows, None], labels[rows, None].astype(np.int64))

    def keypoints(
        self, images: LabelledImages, rows: np.ndarray, data: Path | None = None
    ) -> np.ndarray:
        """The middle of what is not black and the middles of its quarters; `KnowsKeypoints`."""
        return box_keypoints(lit_boxes(images.images[rows]))

    def _read_idx(self, folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
        count = 10_000 if part == "t10k" else 60_000
        images = read_idx(_find(folder, f"{part}-images-idx3-ubyte"), (count, 28, 28))
        labels = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"), (count,))
        if labels.max() >= len(CLASSES):
            raise NogsError(f"{folder}: label {labels.max()} is not one of Fashion-MNIST's ten")
        return images, labels

    def _read_hub(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        from datasets import load_dataset

        split = "test" if part == "t10k" else "train"
        try:
            rows = load_dataset(HUB_DATASET, split=split)
        except (OSError, ValueError, RuntimeError) as error:
            raise NogsError(
                f"no images of fashion-mnist: {DEBIAN_FOLDER} does not exist and the Hub's "
                f"{HUB_DATASET} is out of reach; install Debian's dataset-fashion-mnist or give "
                "--data DIR with the four idx files"
            ) from error
        images = np.stack([np.asarray(image) for image in rows["image"]])
        return images, np.asarray(rows["label"])


def lit_boxes(images: np.ndarray) -> np.ndarray:
    """int64 (n, 4): (top, left, bottom, right) around all pixels of images that are not 0.

    The last two are exclusive. An image that is all 0 has the box of the whole image.
    """
    lit = (images != 0).any(1)
    edges = []
    for axis in (2, 1):
        line = lit.any(axis)
        edges.append((line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)))
    (top, bottom), (left, right) = edges
    return np.stack([top, left, bottom, right], axis=1)


def _find(folder: Path, stem: str) -> Path:
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.is_file():
            return path
    raise NogsError(f"{folder} has no {stem} or {stem}.gz; put Fashion-MNIST's idx files there")


# From scratch, summed supervision drowns the classifier; where only the location network trains, it
# has nothing to drown (docs/history/training.md).
TRAINING = Training(
    supervised=3_000, supervision_reduction="mean", location_gradient=True, evaluation_period=250
)

FASHION_MNIST = register_task(
    Task(
        name="fashion-mnist",
        version=5,
        family="fashion-mnist",
        description="Ten kinds of clothes, 28 x 28 grey, five 4 x 4 glimpses",
        channels=1,
        labels=(Label("label", CLASSES),),
        T=5,
        grid=GlimpseGrid.even(image_size=28, glimpse_size=4, stride=2),
        splits=SPLITS,
        source=FashionMnist(),
        training=TRAINING,
        protocols=(
            # Rates are RAM's best of 3e-4, 1e-3, 3e-3 and 6e-3 (`benchmarks/ram_rate.py`). Targets
            # are what RAM's median run reaches half-way, on seeds that are not scored.
            TrainingProtocol(
                "scratch",
                iterations=8_000,
                target_accuracy=0.77,
                training=replace(TRAINING, learning_rate=3e-3, supervised_share=0.25),
            ),
            TrainingProtocol(
                "pretrained",
                iterations=7_500,
                target_accuracy=0.74,
                pretraining=Pretraining(iterations=8_000, learning_rate=1e-3),
                training=replace(
                    TRAINING,
                    learning_rate=3e-3,
                    supervision_reduction="sum",
                    supervised_share=0.5,
                    evaluation_period=100,
                ),
            ),
        ),
        # Kernels and strides as the grid's: a glimpse is two by two whole ones of the first layer.
        avp=AvpTraining("local:16k2s2-32k3s2p1-128", epochs=32, batch_size=256, learning_rate=2e-3),
        annotation=Annotation(
            images=600,
            reserved=3_000,
            bank_images=22_000,
            criterion="cross-entropy",
            search="racing",
            samples=400,
            components=0,
            effective_samples=100.0,
            observed="sample",
        ),
        licence="MIT",
        images_licence="MIT",
        images_may_ship=True,
        source_datasets=(f"extended|{HUB_DATASET}",),
        caveats=(
            "One shop's product pictures, centred on black: what is worth a look lies in much the "
            "same place in all of them.",
            "Shirts, pullovers, coats and T-shirts overlap, and some labels are wrong.",
        ),
    )
)
