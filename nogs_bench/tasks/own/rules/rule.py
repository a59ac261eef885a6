"""A task's numbers, each chosen by one rule from the images and the time there is.

A rule is a function of `Facts` and of what was chosen before it; it says why in a few words. The
table in docs/image-tasks.md is made of these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.values import COUNT, Range

MINUTES = 30.0


@dataclass(frozen=True)
class Choice:
    """A number (or name) of a task, and why it is that."""

    name: str
    value: Any
    why: str


@dataclass
class Chosen:
    """What has been chosen so far.

    - `minutes`: that a build may take, of two ordinary cores.
    - `labels`: for how many of the images' labels it searches sequences.
    - `given`: what the user set by hand.
    """

    facts: Facts
    minutes: float = MINUTES
    labels: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.choices[name].value

    @property
    def cells(self) -> int:
        """Cells of the grid. Raises `NogsError` if a glimpse does not fit the image."""
        return GlimpseGrid.even(self["image_size"], self["glimpse"], self["stride"]).cells

    @property
    def values(self) -> dict[str, Any]:
        return {name: choice.value for name, choice in self.choices.items()}


Make = Callable[[Facts, Chosen], tuple[Any, str]]


@dataclass(frozen=True)
class Rule:
    """How one number is chosen.

    - `depends`: what it depends on and why, a sentence for the documentation.
    - `span`: what it can become, in words.
    - `kind`, `allowed`: the type of it, and the least and most that may be set by hand.
    """

    name: str
    depends: str
    span: str
    make: Make
    kind: type
    allowed: Range


def rule(
    name: str, depends: str, span: str, kind: type = int, allowed: Range = COUNT
) -> Callable[[Make], Rule]:
    """Decorator: makes a `Rule` of the function that chooses `name`."""

    def make_rule(make: Make) -> Rule:
        return Rule(name, depends, span, make, kind, allowed)

    return make_rule


def between(value: float, least: float, most: float) -> float:
    """`value`, or the nearer end."""
    return min(max(value, least), most)


def rounded(value: float) -> int:
    """To two digits, so that a few images more or less change nothing."""
    digits = max(0, len(str(int(value))) - 2)
    return int(round(value, -digits))
