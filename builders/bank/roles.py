"""Which images play which part in a build; no image plays two (appendix B.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nogs_bench.builders.bank.counts import WHOLE, Counts, Fold, count_roles
from nogs_bench.builders.bank.images import GeneratedBank
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, Sampler, first_copies, picked
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
    the rest for the AVP, as `count_roles` counts them. Copies of annotated images, pixel by pixel,
    are left out of both; with folds, an image is in that of its first copy. With `make_bank`, the
    bank is generated and all of them are the AVP's, and may train the generator.
    """
    train = load_split(task, "train", data)
    counts = count_roles(task, len(train), images, fold, make_bank is not None)
    divide = _from_sampler if isinstance(task.source, Sampler) else _from_training_images
    roles = divide(task, train, counts, images, seed, data, fold)
    if make_bank is None:
        return roles
    made = make_bank(lambda: roles.avp(0))
    origin = f"generated, {len(made.bank)} images, key {made.record['key']}"
    return replace(roles, bank=made.bank, record=roles.record | {"bank": origin}, generated=made)


def _from_sampler(
    task: Task,
    train: LabelledImages,
    counts: Counts,
    images: int,
    seed: int,
    data: Path | None,
    fold: Fold,
) -> Roles:
    count = counts.avp
    return Roles(
        annotated=train[:images],
        numbers=np.arange(images),
        bank=sample_images(task, f"bank-{seed}", 0, counts.bank, data),
        avp=lambda epoch: sample_images(task, f"avp-{seed}", epoch * count, count, data),
        avp_validation=load_split(task, "avp_validation", data),
        record={
            "annotated": f"train 0..{images - 1}",
            "bank": f"sampler stream bank-{seed}, {counts.bank} images",
            "avp": f"sampler stream avp-{seed}, {count} fresh images an epoch",
            "avp_validation": "split avp_validation",
        },
    )


def _from_training_images(
    task: Task,
    train: LabelledImages,
    counts: Counts,
    images: int,
    seed: int,
    data: Path | None,
    fold: Fold,
) -> Roles:
    kept = max(images, task.annotation.reserved)
    first, those = first_copies(train.images), f"train {kept}.."
    numbers, left = np.arange(images), np.arange(kept, len(train))
    left = left[first[left] >= kept]
    if fold.count > 1:
        distinct = np.unique(first, return_inverse=True)[1]  # numbers, in order, of images
        mine = distinct % fold.count == fold.number
        numbers, left = np.flatnonzero(mine[:images]), np.flatnonzero(~mine)
        those = f"train but every {fold.count}th from {fold.number}, without copies"
    rest = np.random.default_rng([seed, 0]).permutation(left)
    bank, avp, _ = np.split(rest, np.cumsum([counts.bank, counts.avp]))
    if not len(numbers) or len(bank) < counts.bank or not len(avp):
        raise NogsError(
            f"{task.name}: without copies, pixel by pixel, {len(numbers)} images are left to "
            f"annotate, {len(bank)} for a bank of {counts.bank} and {len(avp)} for the AVP; remove "
            "the copies, or annotate fewer, in fewer folds or with a smaller bank"
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
