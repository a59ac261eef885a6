"""How soon each method is done on each task of a family, as bars: the paper's figure 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from nogs_bench.figures import method_text, of_families, spans_text
from nogs_bench.leaderboard.charts import WIDTH, data_attributes, ticks
from nogs_bench.results import ScoreRow, SpanEstimate

# A task alone is told by its own board.
LEAST = 2
NAMES, RIGHT, TOP, BOTTOM = 180, 24, 10, 42
BAR, GAP = 9, 9
Marks = Callable[[ScoreRow], tuple[int, Mapping[str, str]]]
Of = Callable[[ScoreRow], SpanEstimate | None]


@dataclass(frozen=True)
class FamilyBars:
    """The tasks of one family that were run alike, and a chart for each of two times."""

    name: str
    protocol: str
    model: str
    tasks: int
    converged: Markup
    as_good: Markup


def family_bars(rows: Sequence[ScoreRow], marks: Marks) -> list[FamilyBars]:
    """Of each family with several tasks; `marks`: an entry's style and what filters look at."""
    found = []
    for family, own in of_families(rows, LEAST)[0]:
        first = own[0]
        where = f"{family}, {first.protocol}, {first.model}"
        found.append(
            FamilyBars(
                family,
                first.protocol,
                first.model,
                len({row.task for row in own}),
                bars(family, own, lambda row: row.convergence, marks, f"Converged: {where}"),
                bars(family, own, lambda row: row.as_good, marks, f"As good as RAM: {where}"),
            )
        )
    return found


def bars(family: str, rows: Sequence[ScoreRow], of: Of, marks: Marks, label: str) -> Markup:
    """A group of bars for each task, one for each row, as long as the middle of its seeds.

    A thin line is the interval over seeds. An arrow stands where the middle never got there, a
    cross where nothing was learned, or is known. `label` says it to screen readers.
    """
    ordered = sorted(rows, key=lambda row: row.task)
    groups = [(task, list(own)) for task, own in groupby(ordered, key=lambda row: row.task)]
    bottom = TOP + sum(len(own) * BAR + GAP for _, own in groups)
    last = max(row.iterations for row in rows)
    parts = [_axis(last, bottom)]
    top = TOP
    for task, own in groups:
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                NAMES - 8, top + len(own) * BAR / 2 + 4, task.removeprefix(f"{family}-")
            )
        )
        for row in own:
            parts.append(_bar(row, of(row), top, last, marks))
            top += BAR
        top += GAP
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, bottom + BOTTOM, label, Markup("").join(parts))


def _across(value: float, last: int) -> float:
    return NAMES + value / last * (WIDTH - NAMES - RIGHT)


def _bar(row: ScoreRow, found: SpanEstimate | None, top: int, last: int, marks: Marks) -> Markup:
    style, filtered = marks(row)
    text = spans_text(found) or "not known"
    middle = top + BAR / 2
    if found is None or found.unlearned == len(found.values) or not found.middle.known:
        shape = Markup('<text x="{}" y="{:.1f}">\N{MULTIPLICATION SIGN}</text>').format(
            NAMES + 2, middle + 4
        )
    else:
        end = _across(found.middle.high if found.middle.reached else found.middle.low, last)
        shape = Markup('<rect x="{}" y="{}" width="{:.1f}" height="{}"/>').format(
            NAMES, top, max(end - NAMES, 1), BAR - 1
        )
        if not found.middle.reached:
            shape += Markup('<polygon points="{0:.1f},{1} {2:.1f},{3} {0:.1f},{4}"/>').format(
                end, top - 1, end + 7, middle - 0.5, top + BAR
            )
        if found.interval is not None and found.interval.bounded:
            low, high = (min(x, last) for x in (found.interval.low, found.interval.high))
            line = Markup('<line class="over" x1="{:.1f}" x2="{:.1f}" y1="{y}" y2="{y}"/>')
            shape += line.format(_across(low, last), _across(high, last), y=middle - 0.5)
    return Markup('<g class="bar s{}"{}><title>{}, {}: {}</title>{}</g>').format(
        style, data_attributes(filtered), row.task, method_text(row), text, shape
    )


def _axis(last: int, bottom: int) -> Markup:
    parts = [
        Markup(
            '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
            '<text x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
        ).format(_across(value, last), TOP, bottom, bottom + 16, f"{value:,.0f}")
        for value in ticks(0, last)
    ]
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">iterations</text>').format(
            (NAMES + WIDTH - RIGHT) // 2, bottom + 34
        )
    )
    return Markup("").join(parts)
