"""How many images play which part in a build, known before any of them is read."""

from __future__ import annotations

from dataclasses import dataclass

from nogs_bench.errors import NogsError
from nogs_bench.images import Sampler
from nogs_bench.tasks import Task


@dataclass(frozen=True)
class Fold:
    """One of `count` parts of the training split: every `count`-th image, from `number` on, with
    its copies.

    Cross-fitting: the images of a fold are annotated with bank and AVP made of the other folds, so
    that all training images can be annotated and none by what has seen it (appendix B.1).
    """

    number: int = 0
    count: int = 1


WHOLE = Fold()


@dataclass(frozen=True)
class Counts:
    """How many images a fold annotates, holds in its bank, and has for an epoch of the AVP.

    `bank`: 0 where a generator makes it.
    """

    annotated: int
    bank: int
    avp: int


def count_roles(
    task: Task, train: int, images: int, fold: Fold = WHOLE, generated: bool = False
) -> Counts:
    """Count the roles in a build that annotates the first `images` of `train` training images.

    What folds leave is less than the task reckons with; the bank is its share of that at most.
    `generated`: whether a generator makes the bank. Raises `NogsError` if there are not enough
    images for all roles, or the task has no use for folds.
    """
    if not 1 <= images <= train:
        raise NogsError(f"--images {images}: give 1 to {train} for {task.name}")
    if not 1 <= fold.count <= images:
        raise NogsError(f"--folds {fold.count}: give 1 to {images}, the number of images")
    settings, most = task.annotation, task.avp.images
    bank = 0 if generated else settings.bank_images
    if isinstance(task.source, Sampler):
        if fold.count > 1:
            raise NogsError(
                f"--folds {fold.count}: {task.name} draws bank and AVP images afresh, apart from "
                "those annotated; leave --folds out"
            )
        return Counts(images, bank, most)
    kept = max(images, settings.reserved)
    annotated, left = images, max(0, train - kept)
    if fold.count > 1:
        annotated = len(range(fold.number, images, fold.count))
        left = train - len(range(fold.number, train, fold.count))
        share = left / max(1, train - settings.reserved)
        bank = min(bank, round(bank * share))
    if left <= bank:
        raise NogsError(
            f"{kept} images kept for annotation with a bank of {bank} leaves none of {task.name}'s "
            f"{train} training images for the AVP; annotate in folds (--folds 2), annotate fewer, "
            "or generate the bank (--bank)"
        )
    return Counts(annotated, bank, min(left - bank, most or left))
