"""What is odd about a task and its images, before hours go into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nogs_bench.images import LabelledImages, Sampler, data_folder, picture_digest
from nogs_bench.network import EMBEDDERS, unfrozen
from nogs_bench.tasks import JUDGED_BY, Task, get_task, is_uneven, load_split
from nogs_bench.training import GLIMPSES

FEW = 10  # training images of a class
LARGE, SMALL = 0.5, 0.02  # share of the image that all glimpses see at most


@dataclass(frozen=True)
class Seen:
    """A task with its images."""

    task: Task
    splits: dict[str, LabelledImages]

    def counts(self, split: str) -> np.ndarray:
        """Images of each class."""
        labels = self.splits[split].labels[:, self.task.target]
        return np.bincount(labels, minlength=len(self.task.classes))


def check_task(task: str | Task, data: str | Path | None = None) -> list[str]:
    """What is odd about a task: a list of lines, empty if nothing is.

    `data`: folder of its images, if it needs one. Raises `NogsError` if task and images do not fit,
    there are no images, or a setting of its training names what is not registered. What
    `annotation` and `avp` name, `build` checks, and the command `task --check`.
    """
    task, folder = get_task(task), data_folder(data)
    _check_names(task)
    names = ("train", "validation", "test", "avp_validation")
    seen = Seen(task, {name: load_split(task, name, folder) for name in names})
    return [line for check in CHECKS for line in check(seen)]


def _check_names(task: Task) -> None:
    for training in (task.training, *(plan.training for plan in task.protocols)):
        if training is not None:
            EMBEDDERS[unfrozen(training.embedder).partition(":")[0]]
    for plan in task.protocols:
        if plan.pretraining is not None:
            GLIMPSES[plan.pretraining.glimpses]


def _copies(seen: Seen) -> Iterator[str]:
    digests = {
        name: [picture_digest(image) for image in rows.images] for name, rows in seen.splits.items()
    }
    train = set(digests["train"])
    for name in ("validation", "test", "avp_validation"):
        count = sum(digest in train for digest in digests[name])
        if count:
            yield f"{count:,} images of {name} are training images too: scores are too good"


def _classes(seen: Seen) -> Iterator[str]:
    counts = seen.counts("train")
    rare = [seen.task.classes[number] for number in np.flatnonzero(counts < FEW)]
    if rare:
        more = f" and {len(rare) - 3} more" if len(rare) > 3 else ""
        yield f"fewer than {FEW} training images of {', '.join(rare[:3])}{more}: add some"
    for name in seen.splits:
        lacking = int((seen.counts(name) == 0).sum())
        if lacking:
            yield f"{lacking} of {len(counts)} classes have no image in {name}"


def _balance(seen: Seen) -> Iterator[str]:
    counts, task = seen.counts("train"), seen.task
    share = counts.max() / counts.sum()
    name = task.classes[int(counts.argmax())]
    if is_uneven(share, len(counts)) and task.judged_by == "accuracy":
        yield (
            f"{share:.0%} of the training images are {name}: accuracy is a poor judge; set "
            'judged_by="balanced_accuracy"'
        )
    least = JUDGED_BY[task.judged_by](float(share), len(counts))
    for plan in task.protocols:
        if plan.target_accuracy <= least:
            yield (
                f"protocol {plan.name}: the target, {plan.target_accuracy:.0%}, is what a constant "
                f"answer reaches ({least:.0%}): every run passes it at once"
            )


def _glimpses(seen: Seen) -> Iterator[str]:
    task = seen.task
    grid, share = task.grid, task.T * task.glimpse_size**2 / task.image_size**2
    if share > LARGE:
        yield f"{task.T} glimpses see up to {share:.0%} of the image: where they are hardly matters"
    if share < SMALL:
        yield f"{task.T} glimpses see {share:.1%} of the image: they may tell nothing"
    unseen = grid.span - max(grid.rows[-1], grid.cols[-1])
    if unseen > task.glimpse_size // 2:
        yield f"the grid leaves {unseen} pixels at the right and lower edge that no glimpse sees"


def _numbers(seen: Seen) -> Iterator[str]:
    task = seen.task
    settings = task.annotation
    left = task.splits.train - max(settings.images, settings.reserved) - settings.bank_images
    if isinstance(task.source, Sampler):
        pass  # bank and AVP have images of their own
    elif settings.bank_images > task.splits.train:
        yield (
            f"the bank has {settings.bank_images:,} images, more than the {task.splits.train:,} "
            "training images: generate it (--bank), or set annotation.bank_images"
        )
    elif left < task.splits.train / 3:
        yield (
            f"{max(0, left):,} of {task.splits.train:,} training images are left for the AVP: a "
            "third or more is better"
        )
    if settings.effective_samples > settings.bank_images / 2:
        yield "effective_samples is more than half of the bank: completions will fit nothing"
    for plan in task.protocols:
        training = plan.training or task.training
        if training.supervised > settings.images:
            yield (
                f"protocol {plan.name}: {training.supervised} sequences supervise, "
                f"{settings.images} are built"
            )
        if training.evaluation_period > plan.iterations:
            yield f"protocol {plan.name}: its period of validation is longer than the run"


def _blank(seen: Seen) -> Iterator[str]:
    images = seen.splits["train"].images
    blank = sum(int(image.min()) == int(image.max()) for image in images)
    if blank:
        yield f"{blank:,} training images are of one colour"


CHECKS: tuple[Callable[[Seen], Iterator[str]], ...] = (
    _copies,
    _classes,
    _balance,
    _glimpses,
    _numbers,
    _blank,
)
