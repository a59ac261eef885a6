"""CelebA's first 10,000 images (Liu et al. 2015), 88 x 88: the paper's figure 5 on a laptop.

Forty tasks of one family, as CelebA-HQ's, of images that are ten times smaller.
"""

from __future__ import annotations

from nogs_bench.images import PreparedFolder
from nogs_bench.tasks.families.celeba_hq import (
    ATTRIBUTES,
    CAVEATS,
    LABELS,
    target_accuracy,
    task_name,
)
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Splits,
    Task,
    Training,
    TrainingProtocol,
    register_task,
)

FAMILY = "celeba-10k"
IMAGES = 10_000
SIDE = 88
SPLITS = Splits(train=8_000, validation=500, test=1_000, avp_validation=500)
ANNOTATED = 600

# Positives among the 10,000 images, in the attributes' order.
POSITIVES = (
    *(1_100, 2_660, 5_115, 2_061, 246, 1_477, 2_392, 2_403, 2_432, 1_452),
    *(514, 2_033, 1_453, 594, 468, 674, 640, 444, 3_824, 4_523),
    *(4_217, 4_812, 374, 1_166, 8_335, 2_793, 443, 2_711, 773, 625),
    *(578, 4_822, 2_124, 3_179, 1_898, 483, 4_663, 1_233, 738, 7_771),
)

# Likewise among the 500 validation images, 008001 to 008500.
VALIDATION = (
    *(43, 133, 245, 88, 10, 61, 109, 121, 127, 72),
    *(29, 99, 73, 37, 27, 36, 34, 17, 190, 250),
    *(206, 255, 15, 49, 414, 143, 21, 136, 46, 24),
    *(25, 249, 100, 167, 101, 38, 230, 59, 30, 393),
)

SOURCE = PreparedFolder(
    dataset=FAMILY,
    channels=3,
    image_size=SIDE,
    labels=len(LABELS),
    splits=("train", "validation", "test", "avp_validation"),
    how=(
        "CelebA's images may not be redistributed: get img_align_celeba and list_attr_celeba.txt "
        "under its terms (docs/photographs.md), run nogs-bench prepare celeba-10k, then give "
        "--data DIR"
    ),
)


def _task(target: int, attribute: str, positives: int) -> Task:
    return Task(
        name=task_name(attribute, FAMILY),
        version=1,
        family=FAMILY,
        description=f"Is it '{attribute.replace('_', ' ')}'? 10,000 faces, 88 x 88, five 8 x 8 "
        "glimpses; the images may not be redistributed",
        channels=3,
        labels=LABELS,
        target=target,
        T=5,
        grid=GlimpseGrid.even(image_size=SIDE, glimpse_size=8, stride=4),
        splits=SPLITS,
        source=SOURCE,
        training=Training(
            learning_rate=3e-4,
            supervised=ANNOTATED,
            supervision_reduction="sum",
            supervised_share=0.25,
            evaluation_period=100,
        ),
        protocols=(
            TrainingProtocol(
                "scratch",
                iterations=20_000,
                target_accuracy=target_accuracy(positives, SPLITS.validation),
            ),
        ),
        # Kernels as wide as the grid's steps: candidates cost a hundredth of a transformer's.
        avp=AvpTraining(
            "local:32k4s4-64k3s2p1-256",
            epochs=45,
            batch_size=128,
            learning_rate=1.5e-3,
            warmup=0.3,
            mirrored=True,
            rounds=1,
            chosen_images=300,
            chosen_share=0.25,
        ),
        annotation=Annotation(
            images=ANNOTATED,
            reserved=ANNOTATED,
            bank_images=1_000,
            criterion="cross-entropy",
            samples=200,
            components=0,
            effective_samples=100.0,
            mirrored=True,
            observed="sample",
        ),
        licence="Apache-2.0",
        images_licence="CelebA's terms: non-commercial research, no redistribution",
        images_may_ship=False,
        source_datasets=("extended|other-celeba",),
        caveats=CAVEATS,
    )


CELEBA_10K = tuple(
    register_task(_task(target, attribute, positives))
    for target, (attribute, positives) in enumerate(zip(ATTRIBUTES, VALIDATION, strict=True))
)
