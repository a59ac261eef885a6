"""What images are labelled with, and how many each split has."""

from __future__ import annotations

from dataclasses import dataclass

from nogs_bench.errors import NogsError


@dataclass(frozen=True)
class Label:
    """One question about an image: its name, and the names of its classes.

    Raises `NogsError` unless it has a name, and two classes or more with names of their own.
    """

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        where = f"label {self.name!r}"
        if not isinstance(self.name, str) or not self.name.strip():
            raise NogsError(f"{where}: its name must be a text, and not empty")
        if isinstance(self.classes, str):
            raise NogsError(f"{where}: classes={self.classes!r} is one text; give a list of names")
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(self.classes) < 2:
            raise NogsError(f"{where} has {len(self.classes)} class; there must be two or more")
        if not all(isinstance(name, str) and name.strip() for name in self.classes):
            raise NogsError(f"{where}: class names must be texts, and not empty")
        twice = [name for name in self.classes if self.classes.count(name) > 1]
        if twice:
            raise NogsError(f"{where} has the class {twice[0]!r} twice")


# Those that a dataset has, and that runs are trained, validated and tested on.
EVERY_SPLIT = ("train", "validation", "test")


@dataclass(frozen=True)
class Splits:
    """How many images each split has (section 6).

    `avp_validation` chooses the AVP's best epoch. Its images are in none of the other three splits.
    The paper's tasks are an exception, since they have no images to spare: theirs is `validation`.
    """

    train: int
    validation: int
    test: int
    avp_validation: int
