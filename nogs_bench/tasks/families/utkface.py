"""UTKFace (Zhang et al. 2017): 23,705 aligned faces, shown at CelebA-HQ's size and grid.

Two tasks of one family, gender and age. What the files say of race is left out on purpose: a
benchmark of where to look has no need to sort people by it.
"""

from __future__ import annotations

from nogs_bench.images import Label, PreparedFolder, Splits
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Task,
    Training,
    TrainingProtocol,
    register_task,
)

FAMILY = "utkface"
IMAGES = 23_705
SPLITS = Splits(train=20_000, validation=1_000, test=2_205, avp_validation=500)
ANNOTATED = 600

# The first year of each group but the first.
AGES = (18, 30, 45, 60)
LABELS = (
    Label("gender", ("male", "female")),
    Label("age", ("0-17", "18-29", "30-44", "45-59", "60 and more")),
)

SOURCE = PreparedFolder(
    dataset=FAMILY,
    channels=3,
    image_size=224,
    labels=len(LABELS),
    splits=("train", "validation", "test", "avp_validation"),
    how=(
        "UTKFace's images may not be redistributed: get the aligned and cropped faces under its "
        "terms (docs/photographs.md), run nogs-bench prepare utkface, then give --data DIR"
    ),
)

CAVEATS = (
    "Faces from the web, collected without consent; genders and ages were guessed by an algorithm "
    "and checked by annotators. They are no facts about the persons shown, and must not be used to "
    "judge or identify anyone.",
    "Gender is one of two values here, which people are not.",
    "Ages are uneven: a third of the faces are of 18 to 29 years, many others of small children.",
)


def _task(target: int, description: str, target_accuracy: float) -> Task:
    return Task(
        name=f"{FAMILY}-{LABELS[target].name}",
        version=1,
        family=FAMILY,
        description=f"{description} Faces, 224 x 224, five 16 x 16 glimpses; the images may not be "
        "redistributed",
        channels=3,
        labels=LABELS,
        target=target,
        T=5,
        grid=GlimpseGrid.linspace(image_size=224, glimpse_size=16, points=50, last=207),
        splits=SPLITS,
        source=SOURCE,
        training=Training(
            learning_rate=3e-4,
            supervised=ANNOTATED,
            supervision_reduction="sum",
            supervised_share=0.25,
            evaluation_period=200,
        ),
        protocols=(
            TrainingProtocol("scratch", iterations=24_000, target_accuracy=target_accuracy),
        ),
        # Networks of masked images learn less in the same time (docs/photographs.md).
        avp=AvpTraining(
            "patch-sum:256x2", epochs=140, learning_rate=1e-3, warmup=0.3, mirrored=True
        ),
        annotation=Annotation(
            images=ANNOTATED,
            reserved=ANNOTATED,
            bank_images=2_000,
            criterion="cross-entropy",
            search="coarse-to-fine",
            samples=200,
            first_samples=1_000,
            components=0,
            effective_samples=100.0,
            mirrored=True,
            observed="sample",
        ),
        licence="Apache-2.0",
        images_licence="UTKFace's terms: non-commercial research, no redistribution",
        images_may_ship=False,
        source_datasets=("extended|other-utkface",),
        caveats=CAVEATS,
    )


UTKFACE = (
    register_task(_task(0, "Man or woman?", 0.70)),
    register_task(_task(1, "In which of five groups of age?", 0.45)),
)
