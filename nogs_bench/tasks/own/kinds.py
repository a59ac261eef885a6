"""Texts that stand for a task of images of one's own: a folder, or `hf:` and a dataset.

Numbers set by hand may follow as in an address: `photos/?minutes=10&image_size=64`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from nogs_bench.errors import NogsError
from nogs_bench.images import Label, Splits
from nogs_bench.registry import nearest
from nogs_bench.tasks.own.facts import Place
from nogs_bench.tasks.own.folder import FolderPlace
from nogs_bench.tasks.own.hub import HubPlace
from nogs_bench.tasks.own.making import joint_name, make_task
from nogs_bench.tasks.own.rules import MINUTES, Chosen, choose, choose_about, set_by_hand
from nogs_bench.tasks.own.writing import write_code
from nogs_bench.tasks.specs import SPECS, spec_of
from nogs_bench.tasks.task import TASKS, Task, get_task

HUB = "hf:"
EVERY = "*"
# The choices that `build` and `evaluate` take by name.
BY_NAME = ("minutes", "label", "image_size", "glimpse", "glimpses")


@dataclass(frozen=True)
class OwnImages:
    """A kind of such texts; a `TaskSpec`.

    `place`: where the images are that a text names, given the label columns that are asked for.
    """

    images: str
    fits_text: Callable[[str], bool]
    place: Callable[[str, str | None], Place]

    def fits(self, text: str) -> bool:
        return self.fits_text(_split(text)[0])

    def task(self, text: str) -> Task:
        return task_of(text)


def _folder(text: str, label: str | None) -> Place:
    if label is not None:
        raise NogsError(
            f"--label {label}: the folders' names are the labels of {text}; leave --label out"
        )
    return FolderPlace(Path(text))


def _dataset(text: str, label: str | None) -> Place:
    return HubPlace.of(text.removeprefix(HUB), label)


# In this order they are asked.
SPECS.add("dataset", OwnImages("hf:OWNER/NAME or hf:./PATH", lambda t: t.startswith(HUB), _dataset))
SPECS.add("folder", OwnImages("a folder of images", lambda t: Path(t).is_dir(), _folder))


def is_source(text: object) -> bool:
    """Whether `text` names images rather than a task: a registered name is the task's, and
    `./NAME` the folder's."""
    if not isinstance(text, str | Path) or str(text) in TASKS.lasting():
        return False
    return isinstance(spec_of(str(text)), OwnImages)


def source_specs(images: str | Path, **choices: Any) -> list[str]:
    """The images' text with `choices` of `task_of`, for `get_task` in any process.

    One; with `label="*"` one for each label that the images have, which make a family.
    """
    text, settings = _split(str(images))[0], _settings(images, choices)
    if not text.startswith(HUB):
        text = str(Path(text).resolve())
    if settings.get("label") != EVERY:
        return [_joined(text, settings)]
    _, chosen = choices_of(text, **settings)
    settings = _searched(settings, chosen)
    return [_joined(text, settings | {"about": label.name}) for label in chosen.facts.labels]


def with_choices(task: Any, choices: dict[str, Any]) -> Any:
    """What `get_task` takes for `task` with `choices` of `task_of`, a list of them for a family.

    What is no place of images stays as it is; raises `NogsError` if choices are given for it.
    """
    given = [name for name, value in choices.items() if value is not None]
    if is_source(task):
        specs = source_specs(task, **choices)
        return specs[0] if len(specs) == 1 else specs
    if given:
        if isinstance(task, str):
            get_task(task)  # refuses what is no task either
        raise NogsError(
            f"{given[0]} chooses numbers for a folder of images or a dataset, and {task} has its "
            "own; leave it out, or change a setting (--set)"
        )
    return task


def task_of(images: str | Path, **choices: Any) -> Task:
    """Make a task of labelled images. Rules choose its numbers from the images and the minutes.

    The same images, arguments and version of the package give the same task.

    **Arguments**

    - `images`: a folder with one subfolder for each class, or with `train/`, `val/`, `test/` of
      such; or `"hf:OWNER/NAME"`, a dataset of the Hub (`:CONFIG`, `@REVISION` may follow), or
      `"hf:./PATH"`, what `datasets` loads from there.
    - `minutes`: how long a build may take on two ordinary cores (default 30).
    - `label`: the dataset's columns of labels, comma-separated (default: found by type; `"*"`: the
      same, and the minutes are for a build that searches for each of them).
    - `about`: which of several labels the task is about (default: the first).
    - `labels`: for how many of them the build searches sequences in its minutes (default: 1).
    - other `choices`: numbers set by hand, by the names that docs/image-tasks.md lists, such as
      `image_size=64`, `glimpse=8`, `glimpses=4`.

    Raises `NogsError` if there are no such images, or a choice has another name.
    """
    place, chosen = choices_of(images, **choices)
    settings = _searched(_settings(images, choices), chosen)
    about = settings.pop("about", None)
    source: Any = place.source(chosen.values)
    labels: tuple[Label, ...] = source.labels
    splits: Splits = source.splits
    task = replace(make_task(chosen, source, labels, splits), chosen=settings)
    names = [label.name for label in labels]
    if len(names) == 1 and "label" not in settings:
        return task
    number = names.index(about) if about else 0
    return replace(task, name=joint_name(task.family, names[number]), target=number)


def choices_of(images: str | Path, **choices: Any) -> tuple[Place, Chosen]:
    """What `task_of` would choose, and why, without decoding the images."""
    kind, (text, _) = spec_of(str(images)), _split(str(images))
    if not isinstance(kind, OwnImages):
        known = ", or ".join(spec.images for spec in SPECS if isinstance(spec, OwnImages))
        raise NogsError(f"{images} is not a place of images; give {known}")
    settings = _settings(images, choices)
    label = settings.pop("label", None)
    place = kind.place(text, None if label == EVERY else label)
    facts = place.facts()
    about, names = settings.pop("about", None), [each.name for each in facts.labels]
    if about is not None and about not in names:
        raise NogsError(f"{images} has no label {about!r}: {nearest(about, names)}it has {names}")
    minutes, labels = settings.pop("minutes", MINUTES), settings.pop("labels", 1)
    chosen = choose(facts, minutes, settings, len(names) if label == EVERY else labels)
    return place, choose_about(chosen, names.index(about)) if about else chosen


def task_file(images: str | Path, **choices: Any) -> str:
    """The task of `task_of` as a Python file, a comment for each number.

    Raises `NogsError` if there is a task for each label, since the file has one.
    """
    place, chosen = choices_of(images, **choices)
    settings, labels = _settings(images, choices), [each.name for each in chosen.facts.labels]
    if settings.get("label") == EVERY and "about" not in settings and len(labels) > 1:
        raise NogsError(
            f"label * is a task for each of {', '.join(labels)}, and a file has one; name the "
            "columns, the one that the file is about first"
        )
    task = task_of(images, **choices)
    return write_code(place, chosen, task, str(images))


def _settings(images: str | Path, choices: dict[str, Any]) -> dict[str, Any]:
    """What is set with the images' text, and by `choices`, which go before that."""
    query = _split(str(images))[1]
    try:
        said = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise NogsError(f"{images}: write NAME=VALUE after the ?, and & between two") from None
    written = {name: _read(value) for name, value in said}
    if len(written) < len(said):
        raise NogsError(f"{images}: something is set twice after the ?")
    return set_by_hand(written | {name: v for name, v in choices.items() if v is not None})


def _searched(settings: dict[str, Any], chosen: Chosen) -> dict[str, Any]:
    """The settings with `label="*"` said as the number of labels that are searched for."""
    if settings.get("label") != EVERY:
        return settings
    others = {name: value for name, value in settings.items() if name != "label"}
    return others | {"labels": chosen.labels}


def _split(text: str) -> tuple[str, str]:
    """The images, and what is set of their task."""
    images, mark, query = text.rpartition("?")
    return (images, query) if mark and not Path(text).is_dir() else (text, "")


def _joined(text: str, settings: dict[str, Any]) -> str:
    query = {
        name: value if isinstance(value, str) and _read(value) == value else json.dumps(value)
        for name, value in sorted(settings.items())
    }
    return f"{text}?{urlencode(query)}" if query else text


def _read(value: str) -> Any:
    """JSON, or a text as it is: a text that would be read as JSON stands in quotes."""
    try:
        return json.loads(value)
    except ValueError:
        return value
