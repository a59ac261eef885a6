"""What images are labelled with, and how many each split has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One thing to be told from an image: its name and the names of its classes."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """How many images each split has (section 6).

    `avp_validation` early-stops the AVP; it belongs to none of the other three, unless the task's
    page says otherwise (the paper's tasks have no images to spare: theirs is `validation` again).
    """

    train: int
    validation: int
    test: int
    avp_validation: int
