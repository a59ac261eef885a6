"""The paper's figure, ours and its interval, side by side; what was not run is said to be so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nogs_bench.leaderboard.paper import TABLE_1, PaperFigure, paper_figures
from nogs_bench.results import Estimate, ScoreRow, Scores, SpeedUp, estimate
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES, task_name

NOT_RUN = "not run"


@dataclass(frozen=True)
class Comparison:
    """One line of the comparison.

    - `what`: the quantity; `where`: task, protocol and model of ours, or the paper's data.
    - `paper`: its figure as text, "" where it has none for this.
    - `ours`: mean, or None: not run, or not known; `low`, `high`: 95 % over seeds. `bound`: ">" or
      "<" where a run ended before it got there, so that ours is only a bound.
    - `note`: why there is none of ours.

    The paper's speed-up is of convergence by its own criterion; beside time to a target it is the
    same question under a stricter rule.
    """

    what: str
    where: str
    method: str
    paper: str
    source: str
    ours: float | None
    low: float | None = None
    high: float | None = None
    bound: str = ""
    note: str = ""

    @property
    def ours_text(self) -> str:
        """`> 6.1 [5.0, 7.2]`, or `not run`."""
        if self.ours is None:
            return self.note or NOT_RUN
        form = _form(self.what)
        text = f"{self.bound} {form(self.ours)}".strip()
        if self.low is None and self.high is None:
            return text
        ends = ["" if end is None else form(end) for end in (self.low, self.high)]
        return f"{text} [{ends[0]}, {ends[1] or 'no bound'}]"


def compare(scores: Scores) -> tuple[Comparison, ...]:
    """Our speed-ups and gains beside the paper's, then the paper's own tasks."""
    return (*_headline(scores), *_paper_tasks(scores))


def _headline(scores: Scores) -> Iterator[Comparison]:
    """PS-NOGS, fading or not, over RAM: of every task, protocol and model that has both."""
    speed, gain = (_said("ps-nogs", name) for name in ("convergence speed-up", "test accuracy"))
    paper = f"{speed.value}"
    for row in scores.rows:
        if not row.method.startswith("ps-nogs") or row.test_gain is None:
            continue
        where = f"{row.task}, {row.protocol}, {row.model}"
        for what, found in (
            ("speed-up to convergence, of means", row.convergence_speed_up),
            ("speed-up to the target, of means", row.speed_up_of_means),
            ("speed-up to the target, paired", row.speed_up),
        ):
            ours = _of_speed_up(found)
            yield Comparison(what, where, row.method, paper, speed.source, **ours)
        paper_gain = f"{100 * float(gain.value or 0):+.1f}"
        what, ours = "test accuracy over RAM's, points", _of(row.test_gain, 100)
        yield Comparison(what, where, row.method, paper_gain, gain.source, **ours)


def _said(method: str, quantity: str) -> PaperFigure:
    return next(
        figure
        for figure in paper_figures()
        if figure.method == method
        and figure.source.startswith("Figure 5")
        and figure.quantity.startswith(quantity)
    )


def _paper_tasks(scores: Scores) -> Iterator[Comparison]:
    """Table 1, line by line, then what the text says of figures 4 and 6."""
    for figure in paper_figures():
        if figure.source.startswith("Table 1"):
            yield _table_1_line(figure, scores)
        elif not figure.source.startswith("Figure 5"):
            paper = figure.quote or "" if figure.value is None else f"{figure.value:g}"
            about = (figure.quantity, figure.data, figure.method, paper, figure.source)
            yield Comparison(*about, ours=None)


def _table_1_line(figure: PaperFigure, scores: Scores) -> Comparison:
    names = [TABLE_1[figure.data]]
    if figure.data.startswith("CelebA-HQ"):
        names = [task_name(attribute) for attribute in ATTRIBUTES]
    own = [row for row in scores.rows if row.task in names and row.method == figure.method]
    run = {row.task for row in own}
    percent = "accuracy" in figure.quantity
    what = "test accuracy, %" if percent else "iterations to convergence"
    assert figure.value is not None
    value = f"{100 * figure.value:.1f}" if percent else f"{figure.value:,}"
    about = (what, figure.data, figure.method, value, figure.source)
    if len(run) < len(names):
        part = f" ({len(run)} of {len(names)} tasks)" if len(names) > 1 else ""
        return Comparison(*about, ours=None, note=f"{NOT_RUN}{part}")
    return Comparison(*about, **_of(_mean(own, percent), 100 if percent else 1))


def _mean(rows: Sequence[ScoreRow], percent: bool) -> Estimate:
    """Over the seeds of one task, or the tasks' means of several."""
    found = [row.test_accuracy if percent else row.convergence for row in rows]
    return found[0] if len(found) == 1 else estimate([each.mean for each in found])


def _of(found: Estimate, scale: float = 1.0) -> dict[str, Any]:
    return {
        "ours": scale * found.mean,
        "low": scale * found.low,
        "high": scale * found.high,
        "bound": ">" if found.censored else "",
    }


def _of_speed_up(found: SpeedUp | None) -> dict[str, Any]:
    if found is None or (found.at_least == 0 and found.at_most is None):
        return {"ours": None, "note": "not known"}
    if found.exact:
        return {"ours": found.at_least, "low": found.low, "high": found.high}
    if found.at_least > 0:
        return {"ours": found.at_least, "low": found.low, "high": None, "bound": ">"}
    return {"ours": found.at_most, "low": None, "high": found.high, "bound": "<"}


def _form(what: str) -> Callable[[float], str]:
    forms = {"speed-up": "{:.1f}", "test accuracy over": "{:+.1f}", "test accuracy,": "{:.1f}"}
    return next((form for key, form in forms.items() if what.startswith(key)), "{:,.0f}").format
