"""Cells of the documentation's tables: figures of one task, or of many, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nogs_bench.figures import duration, estimate_text, percent, span_text, spans_text, times
from nogs_bench.figures.families import MEAN, Measured, Over, over_spans
from nogs_bench.results import ScoreRow, Span, SpanEstimate

NONE = "\N{EN DASH}"

Table = tuple[list[str], list[list[str]]]
Of = Callable[[ScoreRow], SpanEstimate | None]


def time(rows: Sequence[ScoreRow], of: Of, over: Over = MEAN) -> str:
    """Of one task, with its interval; of many, over them."""
    if len(rows) == 1:
        return spans_text(of(rows[0])) or NONE
    return over_spans(over.time, _middles(rows, of)) or NONE


def speed(rows: Sequence[ScoreRow], of: Of, over: Over = MEAN) -> str:
    """Likewise, of ratios."""
    if len(rows) == 1:
        return spans_text(of(rows[0]), times) or NONE
    return over_spans(over.ratio, _middles(rows, of)) or NONE


def paper(rows: Sequence[ScoreRow], over: Over = MEAN) -> str:
    """The ratio of mean iterations to convergence, wherever in a run its best lies."""
    spans = [row.ratio_of_means.get("paper") for row in rows]
    if len(rows) > 1:
        return over_spans(over.ratio, spans) or NONE
    return span_text(spans[0], times) if spans[0] else NONE


def accuracy(
    rows: Sequence[ScoreRow],
    of: Measured = lambda row: row.test_accuracy,
    over: Over = MEAN,
) -> str:
    """Of one task, with its interval over seeds; of many, over them (of a mean, seed by seed)."""
    found = [each for each in map(of, rows) if each is not None]
    if not found or len(found) < len(rows):
        return NONE
    return estimate_text(found[0], percent) if len(found) == 1 else over.accuracy(rows, of)


def _middles(rows: Sequence[ScoreRow], of: Of) -> list[Span | None]:
    """What the middle seed took; None where no seed learned."""
    found = [of(row) for row in rows]
    return [each.middle if each and each.unlearned < len(each.values) else None for each in found]


def build(rows: Sequence[ScoreRow]) -> str:
    costs = [row.build_seconds for row in rows if row.build_seconds is not None]
    return duration(max(costs)) if costs else NONE


def markdown(table: Table) -> str:
    """The table's text; a first column that repeats is left empty."""
    heads, rows = table
    if not rows:
        return "No results yet."
    lines, before = [heads, ["---"] * len(heads)], None
    for first, *rest in rows:
        lines.append(["" if first == before else first, *rest])
        before = first
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
