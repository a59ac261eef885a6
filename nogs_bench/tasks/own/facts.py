"""What is known of images before any is decoded: how many, how large, with which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from nogs_bench.images import ImageSource, Label

# Settings of a task that its source has too.
OF_SOURCE = ("image_size", "channels", "validation", "test", "avp_validation")
LOOKED_AT = 400  # images of which the size is read
DECODED = 40  # of which the colours are read too


@dataclass(frozen=True)
class Facts:
    """Labelled images, looked through.

    - `name`: short, fit for files: the folder's, or the dataset's.
    - `labels`: what they are labelled with; the first is what the task is about.
    - `counts`: images of each class of that label; `others`: of each of the other labels.
    - `given`: how many images each split has that the images are divided into already.
    - `side`: median of the images' shorter sides, pixels; `grey`: whether none shows a colour.
    - `licence`, `citation`: as the images' card says, empty where unknown.
    - `origin`: the dataset's name on the Hub, if it is there.
    """

    name: str
    labels: tuple[Label, ...]
    counts: tuple[int, ...]
    given: Mapping[str, int]
    side: int
    grey: bool
    licence: str = ""
    citation: str = ""
    origin: str = ""
    others: tuple[tuple[int, ...], ...] = ()

    def about(self, number: int) -> Facts:
        """With the counts of another label: what is chosen by them is then chosen for that one."""
        return replace(self, counts=(self.counts, *self.others)[number])

    @property
    def images(self) -> int:
        return sum(self.counts)

    @property
    def classes(self) -> int:
        return len(self.counts)

    @property
    def commonest(self) -> float:
        """Share of the commonest class: the accuracy of who always answers that."""
        return max(self.counts) / max(1, self.images)


class Place(Protocol):
    """Where labelled images are, before it is known at which size they are wanted."""

    def facts(self) -> Facts:
        """Looks through them, without decoding more than a few."""
        ...

    def source(self, settings: Mapping[str, Any]) -> ImageSource:
        """The images decoded, with the settings of `OF_SOURCE`."""
        ...

    def code(self, settings: Mapping[str, Any], why: Mapping[str, str]) -> str:
        """Python that makes the same source, `why` as comments."""
        ...


def some(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers 0 .. `count` - 1, evenly apart; all if there are no more."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(int)).tolist()


def middle_side(sizes: Sequence[tuple[int, int]]) -> int:
    """The median of the shorter of (width, height), pixels."""
    return int(np.median([min(size) for size in sizes]))


def is_grey(picture: np.ndarray) -> bool:
    """Whether uint8 (3, height, width) shows no colour, but for rounding."""
    wide = picture.astype(np.int16)
    return bool((wide.max(0) - wide.min(0) <= 2).all())


def arguments(settings: Mapping[str, Any], why: Mapping[str, str]) -> str:
    """Lines of Python for the settings that a source has."""
    return "".join(f"    {name}={settings[name]!r},  # {why[name]}\n" for name in OF_SOURCE)
