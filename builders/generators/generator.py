"""What a bank's images come from, and how a build names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror
from nogs_bench.images import LabelledImages
from nogs_bench.registry import Registry
from nogs_bench.tasks import Task


class Generator(Protocol):
    """Images without end (or as many as there are), each with its own number."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Everything but the seed that its images depend on, as plain JSON values."""
        ...

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """Images `start .. start + count - 1`, of the task's channels and size.

        An image depends on `seed` and its number alone, not on the range it is asked for in.
        Labels are -1 where the generator knows none. `count` is at least 1.
        """
        ...


@dataclass(frozen=True)
class Setting:
    """What a build tells a generator.

    - `task`: whose bank is wanted: the images' channels and size, and their labels.
    - `data`: the folder of the task's images, if the user named one.
    - `seed`: the build's seed.
    - `device`: where networks compute.
    - `training`: the images that a generator may learn from. Those that are annotated, validate or
      test are not among them.
    - `folder`: where a generator that is trained keeps its weights; `mirror`: where they are kept
      too, for workers on other machines.
    - `exactness`: what the device has to do with the weights' bytes, for their name.
    """

    task: Task
    data: Path | None
    seed: int
    device: str
    training: Callable[[], LabelledImages]
    folder: Path
    mirror: Mirror
    exactness: Mapping[str, Any] = field(default_factory=dict)


Factory = Callable[[str, Setting], Generator]
"""Makes a generator from the part of its name after the colon, "" if there is none."""

GENERATORS: Registry[Factory] = Registry("image generator", group="nogs_bench.generators")


def open_generator(spec: str, setting: Setting) -> Generator:
    """The generator that `spec` names: `NAME`, `NAME:ARGUMENT`, or `FILE.py:NAME` of a user's.

    Options follow a comma: `stylegan:FILE,truncation=0.7`, `gan,steps=500`. Raises `NogsError` at
    an unknown name or whatever the generator finds wrong with its argument.
    """
    name, argument = named_generator(spec)
    return GENERATORS[name](argument, setting)


def named_generator(spec: str) -> tuple[str, str]:
    """The entry of `GENERATORS` that `spec` names, and its argument. Raises `NogsError` at an
    unknown name."""
    name, _, argument = spec.partition(":")
    if "," in name:
        # Options without an argument.
        name, _, options = spec.partition(",")
        argument = f",{options}"
    if Path(name).suffix == ".py":
        name, argument = "callable", spec
    GENERATORS[name]
    return name, argument


def split_options(
    argument: str, known: Mapping[str, Callable[[str], Any]], what: str
) -> tuple[str, dict[str, Any]]:
    """`"FILE,size=256"` -> `("FILE", {"size": 256})`.

    `known` maps an option's name to what reads its value. Raises `NogsError` naming the option.
    """
    value, *rest = argument.split(",")
    options: dict[str, Any] = {}
    for item in rest:
        name, _, text = item.partition("=")
        if name not in known:
            raise NogsError(f"{what} has no option {name!r}; it has {', '.join(known) or 'none'}")
        if name in options:
            raise NogsError(f"{what}: {name} is given twice")
        try:
            options[name] = known[name](text)
        except ValueError as error:
            raise NogsError(f"{what}: {name}={text} is not a valid value") from error
    return value, options


def at_least_one(text: str) -> int:
    """Reads an option that counts something; raises `ValueError` below 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def required_file(argument: str, spec: str, how: str) -> Path:
    """`argument` as a file that exists. Raises `NogsError` with `how` to get it."""
    path = Path(argument)
    if not argument or not path.is_file():
        raise NogsError(f"--bank {spec}: no file {argument or 'is named'}; {how}")
    return path
