"""How figures are written: the same in tables, on pages and in files. Nothing unknown has a number.

`form` writes a number: `whole`, `percent`, `times`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nogs_bench.results import Estimate, ScoreRow, Span, SpanEstimate

Form = Callable[[float], str]
UNKNOWN, NOT_LEARNED = "not known", "not learned"


def whole(value: float) -> str:
    """1,234."""
    return f"{value:,.0f}"


def points(value: float) -> str:
    """0.0123 as `+1.2`, points of percent."""
    return f"{100 * value:+.1f}"


def percent(value: float) -> str:
    """.8712 -> 87.1, of a share."""
    return f"{100 * value:.1f}"


def times(value: float) -> str:
    """6.4; 1.36 below 2, where a tenth is much; 0.0031, since 0.00 would say nothing."""
    if 0 < value < 0.1:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 2 else f"{value:.1f}"


def target(share: float) -> str:
    """A target in % with the digits that it has: 66, 99.72."""
    return f"{100 * share:.4g}"


def duration(seconds: float) -> str:
    """170 s, 28 min, 1.5 h: never 0 of anything that took time."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def span_text(span: Span, form: Form = whole) -> str:
    """`290`, `240–290`, `> 6,000`, `< 0.5`, or `not known`."""
    if not span.known:
        return UNKNOWN
    if not span.reached:
        return f"> {form(span.low)}"
    if span.low == 0:
        return f"< {form(span.high)}"
    low, high = form(span.low), form(span.high)
    return low if low == high else f"{low}\N{EN DASH}{high}"


def interval_text(found: SpanEstimate, form: Form = whole) -> str:
    """`[78, 650]`, `[> 500]`, `[< 0.6]`; nothing where the seeds do not say."""
    if found.interval is None:
        return ""
    if found.interval.bounded:
        return f"[{form(found.interval.low)}, {form(found.interval.high)}]"
    return f"[{span_text(found.interval, form)}]"


def spans_text(found: SpanEstimate | None, form: Form = whole) -> str:
    """The middle of the seeds, and its interval: `199–255 [78, 646]`; `` for none.

    Times also say how many runs never got there, and how many learned nothing.
    """
    if found is None:
        return ""
    count = len(found.values)
    if found.unlearned == count:
        return NOT_LEARNED
    middle, interval = span_text(found.middle, form), interval_text(found, form)
    text = middle if interval in ("", f"[{middle}]") else f"{middle} {interval}"
    return text + (f" ({found.unlearned} of {count} {NOT_LEARNED})" if found.unlearned else "")


def estimate_text(found: Estimate | None, form: Form) -> str:
    """`mean [low, high]`; the mean alone of one seed; `` for none."""
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return form(found.mean)
    return f"{form(found.mean)} [{form(found.low)}, {form(found.high)}]"


def rank_text(rank: tuple[int, int] | None) -> str:
    """`2`, or `2–4` where seeds do not separate methods; `` where nothing is known."""
    if rank is None:
        return ""
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}\N{EN DASH}{rank[1]}"


def method_text(row: ScoreRow) -> str:
    """An entry's method; and its rate, where RAM beside it has another: `ps-nogs at 6e-3`."""
    if row.reference_rate in (None, row.learning_rate):
        return row.method
    return f"{row.method} at {rate_text(row.learning_rate)}"


def rate_text(rate: float) -> str:
    """0.0003 -> 3e-4: to twelve digits, as an entry's file name, so that no two look alike."""
    digits, power = f"{rate:.11e}".split("e")
    return f"{float(digits):.12g}e{int(power)}"
