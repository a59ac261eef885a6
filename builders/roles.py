"""Which images play which part in a build; no image plays two (appendix B.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, Sampler
from nogs_bench.task import Task

if TYPE_CHECKING:
    from nogs_bench.builders.generated import GeneratedBank


@dataclass(frozen=True)
class Roles:
    """The images of a build, by what they are for.

    - `annotated`: the first images of the training split, in its order.
    - `bank`: completions are retrieved from these.
    - `avp`: training images of the AVP's epoch e, as `avp(e)`.
    - `avp_validation`: choose the AVP's best epoch.
    - `record`: how they were kept apart, for the dataset's provenance.
    - `generated`: the bank's folder and provenance, if a generator made it.
    """

    annotated: LabelledImages
    bank: LabelledImages
    avp: Callable[[int], LabelledImages]
    avp_validation: LabelledImages
    record: dict[str, str]
    generated: GeneratedBank | None = None


MakeBank = Callable[[Callable[[], LabelledImages]], "GeneratedBank"]
"""Generates a bank, given the images that a generator may learn from."""


def assign_roles(
    task: Task, images: int, seed: int, data: Path | None, make_bank: MakeBank | None = None
) -> Roles:
    """Divide the task's images for a build that annotates the first `images` of the training split.

    A source that is a `Sampler` gives bank and AVP their own streams, the AVP's fresh in every
    epoch. From any other source the training images that are neither annotated nor reserved are
    divided at random: `annotation.bank_images` for the bank, the rest for the AVP. With
    `make_bank`, the bank is generated and all of them are the AVP's, and may train the generator.
    """
    train = task.source.load("train", data)
    if not 1 <= images <= len(train):
        raise NogsError(f"--images {images}: {task.name} can have 1..{len(train)} annotated")
    divide = _from_sampler if isinstance(task.source, Sampler) else _from_training_images
    if make_bank is None:
        return divide(task, train, images, seed, data)
    without = replace(task, annotation=replace(task.annotation, bank_images=0))
    roles = divide(without, train, images, seed, data)
    made = make_bank(lambda: roles.avp(0))
    origin = f"generated, {len(made.bank)} images, key {made.record['key']}"
    return replace(roles, bank=made.bank, record=roles.record | {"bank": origin}, generated=made)


def _from_sampler(
    task: Task, train: LabelledImages, images: int, seed: int, data: Path | None
) -> Roles:
    source = task.source
    assert isinstance(source, Sampler)
    count = task.avp.images
    return Roles(
        annotated=train[:images],
        bank=source.sample(f"bank-{seed}", 0, task.annotation.bank_images, data),
        avp=lambda epoch: source.sample(f"avp-{seed}", epoch * count, count, data),
        avp_validation=source.load("avp_validation", data),
        record={
            "annotated": f"train 0..{images - 1}",
            "bank": f"sampler stream bank-{seed}, {task.annotation.bank_images} images",
            "avp": f"sampler stream avp-{seed}, {count} fresh images an epoch",
            "avp_validation": "split avp_validation",
        },
    )


def _from_training_images(
    task: Task, train: LabelledImages, images: int, seed: int, data: Path | None
) -> Roles:
    kept = max(images, task.annotation.reserved)
    rest = kept + np.random.default_rng([seed, 0]).permutation(len(train) - kept)
    bank, avp = np.split(rest, [task.annotation.bank_images])
    if task.avp.images:
        avp = avp[: task.avp.images]
    if not len(avp):
        raise NogsError(
            f"{kept} images kept for annotation with a bank of {task.annotation.bank_images} "
            f"leaves none of {task.name}'s {len(train)} training images for the AVP; annotate "
            "fewer, or generate the bank (--bank)"
        )
    avp_images = train[avp]
    return Roles(
        annotated=train[:images],
        bank=train[bank],
        avp=lambda epoch: avp_images,
        avp_validation=task.source.load("avp_validation", data),
        record={
            "annotated": f"train 0..{images - 1}",
            "bank": f"{len(bank)} of train {kept}.., seeded permutation",
            "avp": f"{len(avp)} others of train {kept}.., same permutation",
            "avp_validation": "split avp_validation",
        },
    )
