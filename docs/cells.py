"""Cells of the documentation's tables: figures of one task, or of many, with their intervals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nogs_bench.figures import duration, estimate_text, percent, span_text, spans_text, times
from nogs_bench.figures.families import median_text, over_tasks
from nogs_bench.figures.texts import whole
from nogs_bench.results import (
    Estimate,
    ScoreRow,
    Span,
    SpanEstimate,
    combined,
    mean_span,
    median_span,
)

NONE = "\N{EN DASH}"

Table = tuple[list[str], list[list[str]]]
Of = Callable[[ScoreRow], SpanEstimate | None]
Measured = Callable[[ScoreRow], Estimate | None]


# The figure of those that anything is known of, as text, and how many these are.
Texts = Callable[[Sequence[Span | None]], tuple[str, int] | None]


@dataclass(frozen=True)
class Over:
    """How the figures of many tasks become one: times, ratios, accuracies."""

    name: str
    times: Texts
    ratios: Texts
    accuracies: Callable[[Sequence[ScoreRow], Measured], str]


def _mean_time(spans: Sequence[Span | None]) -> tuple[str, int] | None:
    known = _known(spans)
    return (span_text(mean_span(known), whole), len(known)) if known else None


def _mean_ratio(spans: Sequence[Span | None]) -> tuple[str, int] | None:
    """The geometric mean, as fits ratios."""
    made = combined(spans)
    return None if made is None else (span_text(made[0], times), made[1])


def _median_time(spans: Sequence[Span | None]) -> tuple[str, int] | None:
    known = _known(spans)
    return (span_text(median_span(known)), len(known)) if known else None


def _median_ratio(spans: Sequence[Span | None]) -> tuple[str, int] | None:
    known = _known(spans)
    return (median_text(known), len(known)) if known else None


def _known(spans: Sequence[Span | None]) -> list[Span]:
    return [span for span in spans if span is not None and span.known]


MEAN = Over(
    "mean", _mean_time, _mean_ratio, lambda rows, of: estimate_text(over_tasks(rows, of), percent)
)
MEDIAN = Over(
    "median",
    _median_time,
    _median_ratio,
    lambda rows, of: percent(statistics.median(e.mean for row in rows if (e := of(row)))),
)


def time(rows: Sequence[ScoreRow], of: Of, over: Over = MEAN) -> str:
    """Of one task, with its interval; of many, over them."""
    if len(rows) == 1:
        return spans_text(of(rows[0])) or NONE
    return _of_many(_middles(rows, of), over.times)


def speed(rows: Sequence[ScoreRow], of: Of, over: Over = MEAN) -> str:
    """Likewise, of ratios."""
    if len(rows) == 1:
        return spans_text(of(rows[0]), times) or NONE
    return _of_many(_middles(rows, of), over.ratios)


def paper(rows: Sequence[ScoreRow], over: Over = MEAN) -> str:
    """The ratio of mean iterations to convergence, wherever in a run its best lies."""
    spans = [row.ratio_of_means.get("paper") for row in rows]
    if len(rows) > 1:
        return _of_many(spans, over.ratios)
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
    return estimate_text(found[0], percent) if len(found) == 1 else over.accuracies(rows, of)


def _middles(rows: Sequence[ScoreRow], of: Of) -> list[Span | None]:
    """What the middle seed took; None where no seed learned."""
    found = [of(row) for row in rows]
    return [each.middle if each and each.unlearned < len(each.values) else None for each in found]


def _of_many(spans: Sequence[Span | None], texts: Texts) -> str:
    made = texts(spans)
    if made is None:
        return NONE if not any(spans) else "not known"
    text, count = made
    return text + (f" ({count} of {len(spans)})" if count < len(spans) else "")


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
