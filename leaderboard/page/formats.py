"""How the page writes numbers, by the names that its templates use."""

from __future__ import annotations

from typing import Any

from nogs_bench.figures import (
    NOT_LEARNED,
    duration,
    estimate_text,
    method_text,
    percent,
    points,
    rank_text,
    rate_text,
    span_text,
    spans_text,
    target,
    times,
    whole,
)
from nogs_bench.leaderboard.page.marks import taught
from nogs_bench.results import ScoreRow, Span, SpanEstimate

DASH = "\N{EN DASH}"


def _rank(row: ScoreRow) -> str:
    return rank_text(row.rank) or DASH


def _sortable(found: SpanEstimate | Span | None) -> float | str:
    """What a column of spans is sorted by; "" where nothing is known."""
    if isinstance(found, SpanEstimate):
        found = None if found.unlearned == len(found.values) else found.middle
    return found.low if found is not None and found.known else ""


def _short(number: float) -> str:
    """1,234,567 -> 1.23 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


FORMATS: dict[str, Any] = {
    "rank": _rank,
    "duration": duration,
    "short": _short,
    "whole": whole,
    "percent": percent,
    "points": points,
    "times": times,
    "target": target,
    "rate": rate_text,
    "named": method_text,
    "span": span_text,
    "spans": spans_text,
    "estimated": estimate_text,
    "sortable": _sortable,
    "taught": taught,
    "not_learned": NOT_LEARNED,
}
