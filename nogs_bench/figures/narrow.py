"""Tables where there is little room: columns give way down to their longest words, and a table that
still does not fit becomes a list. So no figure is cut, or broken over lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

AROUND, EDGE = 3, 1  # columns of the terminal that each column of a table takes beside its text


def fitted(table: Table, console: Console) -> Table:
    """The table, with widths that fit the console; if none do, its cells as a list, one a line.

    Where a list does not fit, long words are folded, figures not.
    """
    room = console.width - AROUND * len(table.columns) - EDGE
    spans = [_span(column, console) for column in table.columns]
    if sum(span.line for span in spans) <= room:
        return table
    least = sum(span.figure if len(spans) == 2 else span.word for span in spans)
    if least > room and table.show_header:
        return fitted(_listed(table), console)
    for column, width in zip(table.columns, _widths(spans, room), strict=True):
        column.width = width
    return table


class Span(NamedTuple):
    """How wide what is longest in a column is."""

    figure: int
    word: int
    line: int


def _span(column: Column, console: Console) -> Span:
    cells = (column.header, *column.cells)
    texts = [console.render_str(cell) if isinstance(cell, str) else cell for cell in cells]
    lines = [line for text in texts for line in str(text).splitlines()]
    words = [word for line in lines for word in line.split()]
    figures = [word for word in words if not any(map(str.isalpha, word))]
    return Span(*(max(map(cell_len, found), default=1) for found in (figures, words, lines)))


def _widths(spans: Sequence[Span], room: int) -> list[int]:
    """Each column its longest word; then what lacks or is left, one by one: words that are no
    figures give way, longest first, and the columns with the longest lines grow."""
    widths = [span.word for span in spans]
    while sum(widths) > room:
        spare = [width - span.figure for span, width in zip(spans, widths, strict=True)]
        if max(spare) <= 0 or max(widths) <= 1:
            break
        widths[spare.index(max(spare))] -= 1
    while sum(widths) < room:
        lacks = [span.line - width for span, width in zip(spans, widths, strict=True)]
        if max(lacks) <= 0:
            break
        widths[lacks.index(max(lacks))] += 1
    return widths


def _listed(table: Table) -> Table:
    """Two columns, the heads of `table` and a row's cells under each other, for one row after the
    other."""
    rows = Table(
        title=table.title,
        title_justify=table.title_justify,
        title_style=table.title_style,
        caption=table.caption,
        box=box.SIMPLE,
        show_header=False,
    )
    rows.add_column(overflow="fold")
    rows.add_column(overflow="fold")
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        rows.add_section()
        for column, cell in zip(table.columns, cells, strict=True):
            rows.add_row(column.header, cell)
    return rows
