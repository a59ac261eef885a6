"""Which images play which part in a build; no image plays two (appendix B.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nogs_bench.builders.bank.images import GeneratedBank
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, Sampler, picked
from nogs_bench.tasks import Task, load_split, sample_images


@dataclass(frozen=True)
class Roles:
    """The images of a build, by what they are for.

    - `annotated`: the first images of the training split, or the fold's of them, in its order.
    - `numbers`: int64, their places in the training split.
    - `bank`: completions are retrieved from these.
    - `avp`: training images of the AVP's epoch e, as `avp(e)`.
    - `avp_validation`: choose the AVP's best epoch.
    - `record`: how they were kept apart, for the dataset's provenance.
    - `generated`: the bank's folder and provenance, if a generator made it.
    """

    annotated: LabelledImages
    numbers: np.ndarray
    bank: LabelledImages
    avp: Callable[[int], LabelledImages]
    avp_validation: LabelledImages
    record: dict[str, str]
    generated: GeneratedBank | None = None


MakeBank = Callable[[Callable[[], LabelledImages]], GeneratedBank]
"""Generates a bank, given the images that a generator may learn from."""


@dataclass(frozen=True)
class Fold:
    """One of `count` parts of the training split: every `count`-th image, from `number` on.

    Cross-fitting: the images of a fold are annotated with bank and AVP made of the other folds, so
    that all training images can be annotated and none by what has seen it (appendix B.1).
    """

    number: int = 0
    count: int = 1


WHOLE = Fold()


def assign_roles(
    task: Task,
    images: int,
    seed: int,
    data: Path | None,
    make_bank: MakeBank | None = None,
    fold: Fold = WHOLE,
) -> Roles:
    """Divide the task's images for a build that annotates the first `images` of the training split.

    A source that is a `Sampler` gives bank and AVP their own streams, the AVP's fresh in every
    epoch. From any other source the training images that are neither annotated nor reserved (with
    folds: that are in another one) are divided at random: `annotation.bank_images` for the bank,
    the rest for the AVP. What folds leave is less than the task reckons with; the bank is its share
    of that at most. With `make_bank`, the bank is generated and all of them are the AVP's, and may
    train the generator.
    """
    train = load_split(task, "train", data)
    if not 1 <= images <= len(train):
        raise NogsError(f"--images {images}: give 1 to {len(train)} for {task.name}")
    if not 1 <= fold.count <= images:
        raise NogsError(f"--folds {fold.count}: give 1 to {images}, the number of images")
    divide = _from_sampler if isinstance(task.source, Sampler) else _from_training_images
    if make_bank is None:
        return divide(task, train, images, seed, data, fold)
    without = replace(task, annotation=replace(task.annotation, bank_images=0))
    roles = divide(without, train, images, seed, data, fold)
    made = make_bank(lambda: roles.avp(0))
    origin = f"generated, {len(made.bank)} images, key {made.record['key']}"
    return replace(roles, bank=made.bank, record=roles.record | {"bank": origin}, generated=made)


def _from_sampler(
    task: Task, train: LabelledImages, images: int, seed: int, data: Path | None, fold: Fold
) -> Roles:
    if fold.count > 1:
        raise NogsError(
            f"--folds {fold.count}: {task.name} draws bank and AVP images afresh, apart from those "
            "annotated; leave --folds out"
        )
    count = task.avp.images
    return Roles(
        annotated=train[:images],
        numbers=np.arange(images),
        bank=sample_images(task, f"bank-{seed}", 0, task.annotation.bank_images, data),
        avp=lambda epoch: sample_images(task, f"avp-{seed}", epoch * count, count, data),
        avp_validation=load_split(task, "avp_validation", data),
        record={
            "annotated": f"train 0..{images - 1}",
            "bank": f"sampler stream bank-{seed}, {task.annotation.bank_images} images",
            "avp": f"sampler stream avp-{seed}, {count} fresh images an epoch",
            "avp_validation": "split avp_validation",
        },
    )


def _from_training_images(
    task: Task, train: LabelledImages, images: int, seed: int, data: Path | None, fold: Fold
) -> Roles:
    kept = max(images, task.annotation.reserved)
    bank_images = task.annotation.bank_images
    numbers, left, those = np.arange(images), np.arange(kept, len(train)), f"train {kept}.."
    if fold.count > 1:
        numbers = np.arange(fold.number, images, fold.count)
        left = np.flatnonzero(np.arange(len(train)) % fold.count != fold.number)
        those = f"train but every {fold.count}th from {fold.number}"
        share = len(left) / (len(train) - task.annotation.reserved)
        bank_images = min(bank_images, round(bank_images * share))
    rest = np.random.default_rng([seed, 0]).permutation(left)
    bank, avp = np.split(rest, [bank_images])
    if task.avp.images:
        avp = avp[: task.avp.images]
    if not len(avp):
        raise NogsError(
            f"{kept} images kept for annotation with a bank of {bank_images} leaves none of "
            f"{task.name}'s {len(train)} training images for the AVP; annotate in folds "
            "(--folds 2), annotate fewer, or generate the bank (--bank)"
        )
    avp_images = picked(train, avp)
    return Roles(
        annotated=train[numbers],
        numbers=numbers,
        bank=picked(train, bank),
        avp=lambda epoch: avp_images,
        avp_validation=load_split(task, "avp_validation", data),
        record={
            "annotated": f"train 0..{images - 1}"
            + (f", every {fold.count}th from {fold.number}" if fold.count > 1 else ""),
            "bank": f"{len(bank)} of {those}, seeded permutation",
            "avp": f"{len(avp)} others of {those}, same permutation",
            "avp_validation": "split avp_validation",
        },
    )
