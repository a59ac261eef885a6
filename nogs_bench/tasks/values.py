"""Settings that cannot be right are refused where they are made."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError

NAME = re.compile(r"\w[\w+.-]{0,99}")
Range = tuple[float | None, float | None]
# Ranges of settings, both ends included.
ANY: Range = (None, None)
COUNT: Range = (1, None)
NUMBER: Range = (0, None)
SHARE: Range = (0, 1)


def settle(
    part: Any,
    what: str,
    ranges: Mapping[str, Range],
    choices: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Check the fields of a frozen dataclass, and make numpy's numbers Python's.

    A field of type int takes an integer, one of type float a finite number, one of type str a text,
    and tuples of integers such tuples, of Python or numpy; `ranges` gives the least and most of
    some (None: no end), `choices` all the names that some may be.
    Called by `__post_init__`. Raises `NogsError` that names `what`, the field and the value.
    """
    for field in fields(part):
        kind = str(field.type)
        if kind not in _CONVERSIONS:
            continue
        value = getattr(part, field.name)
        made = settled(f"{what}: {field.name}", value, kind, ranges.get(field.name, ANY))
        names = choices.get(field.name) if choices else None
        if names is not None and made not in names:
            raise NogsError(f"{what}: {field.name} must be {' or '.join(names)}, not {value!r}")
        object.__setattr__(part, field.name, made)


def settled(what: str, value: Any, kind: str, span: Range) -> Any:
    """`value` as Python's own of a type in `_CONVERSIONS`; `NogsError` if it is not, or outside."""
    wanted, make = _CONVERSIONS[kind]
    try:
        made = make(value)
    except (TypeError, ValueError, OverflowError):
        raise NogsError(f"{what} must be {wanted}, not {value!r}") from None
    least, most = span
    if (least is not None and made < least) or (most is not None and made > most):
        raise NogsError(f"{what} must be {_span(least, most)}, not {value!r}")
    return made


def check_name(name: object, what: str) -> None:
    """Raise `NogsError` unless `name` can name results, files and folders."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise NogsError(
            f"{what} {name!r} is no name: use up to 100 letters, digits, _, +, . and -, and begin "
            "with a letter, digit or _"
        )


def _integer(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError
    return operator.index(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_ | str) or not np.isfinite(value):
        raise TypeError
    return value if type(value) in (int, float) else float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(map(_integer, values))


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(map(_number, values))


_CONVERSIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int": ("an integer", _integer),
    "float": ("a number", _number),
    "bool": ("True or False", _truth),
    "str": ("a text", _text),
    "tuple[int, ...]": ("integers", _integers),
    "tuple[float, ...]": ("numbers", _numbers),
}


def _span(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"in {least:g} .. {most:g}"
    return f"at least {least:g}" if least is not None else f"at most {most:g}"
