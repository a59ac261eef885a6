"""Settings that a caller replaces: `training.learning_rate`, and short forms such as `search`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from nogs_bench.errors import NogsError
from nogs_bench.tasks.build_settings import Annotation, AvpTraining
from nogs_bench.tasks.task import Pretraining, Task, Training, TrainingProtocol

PARTS: dict[str, type] = {
    "annotation": Annotation,
    "avp": AvpTraining,
    "protocol": TrainingProtocol,
    "protocol.pretraining": Pretraining,
    "training": Training,
}
# What a result is known and judged by stays the task's.
FIXED = ("protocol.name", "protocol.target_accuracy")
READ: dict[Any, tuple[str, Callable[[str], Any]]] = {
    int: ("an integer", int),
    float: ("a number", float),
    bool: ("true or false", {"true": True, "false": False}.__getitem__),
    str: ("text", str),
    tuple[int, ...]: ("integers", lambda text: tuple(map(int, _split(text)))),
    tuple[float, ...]: ("numbers", lambda text: tuple(map(float, _split(text)))),
}


@dataclass(frozen=True)
class Settable:
    """What a command lets its caller replace.

    - `parts`: of the task, that the command reads, in `PARTS`.
    - `short`: names of arguments and options that stand for a setting.
    """

    parts: tuple[str, ...]
    short: Mapping[str, str]


SETTABLE = {
    "build": Settable(
        ("annotation", "avp"),
        {
            "images": "annotation.images",
            "criterion": "annotation.criterion",
            "search": "annotation.search",
            "completion": "annotation.completion",
            "bank_images": "annotation.bank_images",
            "samples": "annotation.samples",
            "observed": "annotation.observed",
        },
    ),
    "evaluate": Settable(
        ("training", "protocol", "protocol.pretraining"),
        {
            "iterations": "protocol.iterations",
            "supervised": "training.supervised",
            "embedder": "training.embedder",
        },
    ),
    "compare": Settable(("annotation", "avp"), {}),
}


def settings_of(part: str) -> dict[str, Any]:
    """The settings of a part that can be replaced, name to type."""
    hints = get_type_hints(PARTS[part])
    return {
        name: kind for name, kind in hints.items() if f"{part}.{name}" not in FIXED and kind in READ
    }


def read_settings(command: str, texts: Iterable[str]) -> dict[str, Any]:
    """`FIELD=VALUE`, as the command line has it, to settings of the right type.

    Numbers of a tuple have commas between them. Raises `NogsError` at what `command` cannot set.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise NogsError(f"--set {text}: write FIELD=VALUE, such as annotation.samples=500")
        if name in found:
            raise NogsError(f"--set {name} is given twice")
        wanted, read = READ[_kind(command, name)]
        try:
            found[name] = read(value)
        except (ValueError, KeyError):
            raise NogsError(f"--set {name} must be {wanted}, not {value!r}") from None
    return found


def merged_settings(
    command: str, overrides: Mapping[str, Any] | None, **short: Any
) -> dict[str, Any]:
    """A caller's `overrides` and short forms (None: not given) together.

    Raises `NogsError` at a setting that `command` does not have, or that is given twice.
    """
    given = dict(overrides or {})
    for option, value in short.items():
        name = SETTABLE[command].short[option]
        if value is not None and name in given:
            raise NogsError(f"{option} and {name} are the same setting; give one of them")
        if value is not None:
            given[name] = value
    for name in given:
        _kind(command, name)
    return given


def split_short(command: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keyword arguments of `command`'s function: the short forms of settings, and the others."""
    names = SETTABLE[command].short
    short = {name: value for name, value in given.items() if name in names}
    return short, {name: value for name, value in given.items() if name not in names}


def with_settings(task: Task, settings: Mapping[str, Any], protocol: str | None = None) -> Task:
    """`task` with settings of `merged_settings` replaced; those of `protocol` in that one.

    Raises `NogsError` where the protocol has no such part, and at a value of another type or out of
    its range.
    """
    for part, changes in _by_part(settings).items():
        if not part.startswith("protocol"):
            task = replace(task, **{part: replace(getattr(task, part), **changes)})
            continue
        plan = task.protocol(protocol)
        if part == "protocol.pretraining":
            if plan.pretraining is None:
                raise NogsError(f"protocol {plan.name} of {task.name} has no pretraining to set")
            changes = {"pretraining": replace(plan.pretraining, **changes)}
        changed = replace(plan, **changes)
        plans = tuple(changed if each is plan else each for each in task.protocols)
        task = replace(task, protocols=plans)
    return task


def _by_part(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        part, _, field = name.rpartition(".")
        parts.setdefault(part, {})[field] = value
    return parts


def _kind(command: str, name: str) -> Any:
    """The type of a setting. Raises `NogsError` if `command` has none of that name."""
    part, _, field = name.rpartition(".")
    there = SETTABLE[command].parts
    if part not in there:
        raise NogsError(f"{command} cannot set {name}; it sets {_listed(f'{p}.*' for p in there)}")
    settings = settings_of(part)
    if field not in settings:
        raise NogsError(f"{name}: {part} has no such setting; it has {_listed(settings)}")
    return settings[field]


def _split(text: str) -> list[str]:
    return [part for part in text.split(",") if part.strip()]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
