"""Which columns of a dataset are the image and its labels, by their types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images.labels import Label

MISSING = -1
MOST_CLASSES = 1_000
OWN = "__"  # begins webdataset's own columns, its keys and files
REPEATS = 5  # a class of texts or integers is there so often, on average, or it names the image

Values = Sequence[Any]


@dataclass(frozen=True)
class Column:
    """A column of labels: its classes, and a function from its values to their numbers."""

    label: Label
    number: Callable[[Values], np.ndarray]


def image_column(features: Mapping[str, Any], wanted: str | None, where: str) -> str:
    """The column called `wanted`, or the first of images. Raises `NogsError` if there is none."""
    found = [name for name, kind in features.items() if _is_image(kind)]
    if wanted is not None and wanted not in found:
        raise NogsError(f"{where} has no column of images {wanted!r}; it has {_listed(found)}")
    if not found:
        raise NogsError(f"{where} has no column of images; its columns are {_listed(features)}")
    return wanted or found[0]


def label_columns(
    features: Mapping[str, Any],
    values: Callable[[str], Values],
    wanted: Sequence[str],
    where: str,
) -> dict[str, Column]:
    """Columns of labels by name: those `wanted`, or else all classes and booleans, or else all
    texts and integers whose values come again and again.

    `values`: all values of a column. Raises `NogsError` if there is none, or one wanted is none.
    """
    known = {name: kind for name, kind in features.items() if _kind(kind) is not None}
    for name in wanted:
        if name not in known:
            raise NogsError(f"{where} has no column of labels {name!r}; it has {_listed(known)}")
    known = {name: kind for name, kind in known.items() if not name.startswith(OWN)}
    sure = [name for name, kind in known.items() if COLUMNS[_kind(kind) or ""].sure]
    found: dict[str, Column] = {}
    for name in wanted or sure or known:
        kind = features[name]
        column = COLUMNS[_kind(kind) or ""]
        classes, count = column.classes(kind, values(name))
        likely = name in sure or len(classes) <= min(MOST_CLASSES, max(2, count // REPEATS))
        if name in wanted or (len(classes) > 1 and likely):
            found[name] = Column(Label(name, classes), _numbers(column, classes))
    if not known:
        raise NogsError(
            f"{where} has no column of labels, which are classes, booleans, integers or texts; it "
            f"has {_listed(features)}"
        )
    if not found:
        raise NogsError(
            f"{where} has no column whose values come repeatedly, as labels do; give --label, one "
            f"of {_listed(known)}"
        )
    return found


Classes = tuple[tuple[str, ...], int]


def _classes_named(kind: Any, values: Values) -> Classes:
    return tuple(map(str, kind.names)), len(values)


def _truths(kind: Any, values: Values) -> Classes:
    return ("false", "true"), len(values)


def _distinct(kind: Any, values: Values) -> Classes:
    there = [value for value in values if value is not None]
    return tuple(str(value) for value in sorted(set(there))), len(there)


@dataclass(frozen=True)
class _LabelKind:
    """How a column of one kind is read.

    - `classes`: their names, and how many values say so.
    - `keys`: of the classes in order, what stands for each in the column; `key` of a value there.
    - `sure`: whether such a column is a label, however many classes it has.
    """

    classes: Callable[[Any, Values], Classes]
    keys: Callable[[tuple[str, ...]], Iterable[Any]]
    key: Callable[[Any], Any]
    sure: bool


def _itself(value: Any) -> Any:
    return value


COLUMNS = {
    "class": _LabelKind(_classes_named, lambda classes: range(len(classes)), _itself, True),
    "bool": _LabelKind(_truths, lambda classes: (False, True), _itself, True),
    "integer": _LabelKind(_distinct, _itself, str, False),
    "text": _LabelKind(_distinct, _itself, str, False),
}


def _numbers(kind: _LabelKind, classes: tuple[str, ...]) -> Callable[[Values], np.ndarray]:
    """int64 class numbers of values; `MISSING` where there is none."""
    table = {key: number for number, key in enumerate(kind.keys(classes))}

    def number(value: Any) -> int:
        return MISSING if value is None else table.get(kind.key(value), MISSING)

    return lambda values: np.array([number(value) for value in values], np.int64)


def _kind(feature: Any) -> str | None:
    """What a feature is as a label: a key of `COLUMNS`, or None."""
    if hasattr(feature, "names") and hasattr(feature, "num_classes"):
        return "class"
    stored = str(getattr(feature, "dtype", ""))
    if type(feature).__name__ != "Value":
        return None
    if stored in ("string", "large_string"):
        return "text"
    if stored.startswith(("int", "uint")):
        return "integer"
    return "bool" if stored == "bool" else None


def _is_image(feature: Any) -> bool:
    """An image, or its bytes as they are stored."""
    if isinstance(feature, Mapping):
        return "bytes" in feature
    stored = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Image" or stored in ("binary", "large_binary")


def _listed(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return (", ".join(listed[:12]) or "none") + more
