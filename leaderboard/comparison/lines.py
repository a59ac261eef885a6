"""One line of the comparison, and how times that may be bounds are written in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nogs_bench.figures import spans_text
from nogs_bench.results import Span, SpanEstimate

NOT_RUN = "not run"


@dataclass(frozen=True)
class Comparison:
    """One line of the comparison.

    - `what`: the quantity; `where`: task, protocol and model of ours, and the learning rate where
      it is not RAM's; or the paper's data.
    - `paper`: its figure as text, "" where it has none for this.
    - `text`: ours, with its interval; why there is none.
    - `ours`: where it lies, None where nothing is known of it; `over`: what its interval is over,
      "5 seeds" or "40 tasks"; "" where it has none.
    """

    what: str
    where: str
    method: str
    paper: str
    source: str
    text: str = NOT_RUN
    ours: Span | None = None
    over: str = ""


def of_spans(
    what: str,
    about: tuple[str, str],
    paper: str,
    source: str,
    found: SpanEstimate | None,
    form: Callable[[float], str],
) -> Comparison:
    """A line of times or ratios over seeds, which `form` writes; `about`: where, and the method."""
    if found is None:
        return Comparison(what, *about, paper, source, "not known")
    known = found.middle if found.middle.known else None
    over = seeds(len(found.seeds)) if found.interval is not None else ""
    return Comparison(what, *about, paper, source, spans_text(found, form), known, over)


def seeds(count: int) -> str:
    """What such an interval is over."""
    return f"{count} seeds"
