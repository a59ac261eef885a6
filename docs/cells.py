"""Cells of the documentation's tables: figures of one task, or of many, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nogs_bench.figures import duration, estimate_text, percent, span_text, spans_text, times
from nogs_bench.figures.families import over_tasks
from nogs_bench.results import Estimate, ScoreRow, Span, SpanEstimate, combined, mean_span

NONE = "\N{EN DASH}"

Table = tuple[list[str], list[list[str]]]
Of = Callable[[ScoreRow], SpanEstimate | None]


def time(rows: Sequence[ScoreRow], of: Of) -> str:
    """Of one task, with its interval; of many, the mean."""
    if len(rows) == 1:
        return spans_text(of(rows[0])) or NONE
    return _over_tasks([of(row) for row in rows], "{:,.0f}".format, _mean)


def speed(rows: Sequence[ScoreRow], of: Of) -> str:
    """Likewise; of many, the geometric mean, as fits ratios."""
    if len(rows) == 1:
        return spans_text(of(rows[0]), times) or NONE
    return _over_tasks([of(row) for row in rows], times)


Mean = Callable[[Sequence[Span | None]], tuple[Span, int] | None]


def _mean(spans: Sequence[Span | None]) -> tuple[Span, int] | None:
    """The mean of those that anything is known of, and how many these are."""
    known = [span for span in spans if span is not None and span.known]
    return (mean_span(known), len(known)) if known else None


def _over_tasks(
    found: Sequence[SpanEstimate | None], form: Callable[[float], str], mean: Mean = combined
) -> str:
    spans = [each.middle if each and each.unlearned < len(each.values) else None for each in found]
    return _combined(spans, form, mean)


def _combined(
    spans: Sequence[Span | None], form: Callable[[float], str], mean: Mean = combined
) -> str:
    made = mean(spans)
    if made is None:
        return NONE if not any(spans) else "not known"
    span, count = made
    return span_text(span, form) + (f" ({count} of {len(spans)})" if count < len(spans) else "")


def paper(rows: Sequence[ScoreRow]) -> str:
    """The ratio of mean iterations to convergence, wherever in a run its best lies."""
    spans = [row.ratio_of_means.get("paper") for row in rows]
    if len(rows) > 1:
        return _combined(spans, times)
    return span_text(spans[0], times) if spans[0] else NONE


def accuracy(
    rows: Sequence[ScoreRow],
    of: Callable[[ScoreRow], Estimate | None] = lambda row: row.test_accuracy,
) -> str:
    """Of one task, or the mean over tasks, seed by seed; with its interval over seeds."""
    found = [each for each in map(of, rows) if each is not None]
    if not found or len(found) < len(rows):
        return NONE
    return estimate_text(found[0] if len(found) == 1 else over_tasks(found), percent)


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
