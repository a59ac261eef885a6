"""How rows of a dataset show themselves in Jupyter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nogs_bench.notebook import html_rows

ROWS, WIDTH = 5, 100


def shown(rows: Any) -> Any:
    """The same `datasets.Dataset`, or `DatasetDict` of them, which Jupyter shows as a table.

    Datasets made of it, such as by `select`, show themselves as `datasets` has them.
    """
    parts: Any = rows.values() if isinstance(rows, Mapping) else ()
    for each in (*parts, rows):
        each._repr_html_ = partial(_tables if each is rows and parts else _table, each)
    return rows


def _tables(parts: Any) -> str:
    return "".join(_table(part, f"{name}, ") for name, part in parts.items())


def _table(rows: Any, name: str = "") -> str:
    """The first rows: class names for labels, images by their size, arrays cut where long."""
    names = {
        column: feature.int2str
        for column, feature in rows.features.items()
        if hasattr(feature, "int2str")
    }
    first = rows.select(range(min(ROWS, len(rows))))
    table = [
        [
            names[column](int(value)) if column in names else _cell(value)
            for column, value in row.items()
        ]
        for row in first
    ]
    columns = list(first[0]) if table else rows.column_names
    return html_rows(f"{name}{len(rows):,} rows, the first {len(table)}", columns, table)


def _cell(value: Any) -> str:
    if hasattr(value, "mode"):
        return f"image, {value.size[0]} x {value.size[1]}"
    if len(getattr(value, "shape", ())) > 2:
        return " x ".join(map(str, value.shape))
    text = _numbers(value.tolist() if hasattr(value, "tolist") else value)
    return text if len(text) <= WIDTH else text[:WIDTH] + " ..."


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(_numbers, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
