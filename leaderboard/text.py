"""What the leaderboard's commands print without `--json`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from nogs_bench.figures import empty_table
from nogs_bench.leaderboard.comparison import Comparison
from nogs_bench.leaderboard.verification import Verification


def verification_table(found: Verification) -> Table:
    """One row for each quantity."""
    shown = empty_table(
        f"{found.claim.name}: the claim {'holds' if found.holds else 'does not hold'}",
        "quantity",
        "claimed",
        "a run like it, 95 %",
        "found",
        "holds",
    )
    for check in found.checks:
        again = "not run again" if check.found is None else _number(check.found)
        between = escape(f"[{_number(check.low)}, {_number(check.high)}]")
        holds = "" if check.found is None else "yes" if check.holds else "no"
        shown.add_row(check.quantity, _number(check.claimed), between, again, holds)
    return shown


def comparison_table(rows: Iterable[Comparison]) -> Table:
    """One row for each figure."""
    shown = empty_table(
        "The paper's figures and ours, with 95 % intervals",
        "where",
        "method",
        "what",
        "paper",
        "ours",
        "interval over",
        "the paper's is from",
    )
    for row in rows:
        cells = (row.where, row.method, row.what, row.paper, row.text, row.over, row.source)
        shown.add_row(*(escape(cell) for cell in cells))
    return shown


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3f}"
