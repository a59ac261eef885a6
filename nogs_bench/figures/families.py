"""One table of many tasks of a family: means and medians over tasks, then the tasks, one a row."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from nogs_bench.figures.lines import Line
from nogs_bench.figures.texts import estimate_text, percent, rate_text, span_text, times, whole
from nogs_bench.tasks import TASKS

if TYPE_CHECKING:
    from nogs_bench.results import Estimate, ScoreRow, Span

Measured = Callable[["ScoreRow"], "Estimate | None"]

# Fewer tasks have a table each.
LEAST = 5


def of_families(
    rows: Sequence[ScoreRow], least: int = LEAST
) -> tuple[list[tuple[str, list[ScoreRow]]], list[ScoreRow]]:
    """Rows of families of which at least `least` tasks were run alike (protocol, model, length),
    each such group with its family's name; and the other rows, in their order."""

    def setting(row: ScoreRow) -> tuple[str, str, str, int]:
        return TASKS[row.task].family, row.protocol, row.model, row.iterations

    ordered = sorted(rows, key=setting)
    groups = [(key[0], list(own)) for key, own in groupby(ordered, key=setting)]
    large = [(family, own) for family, own in groups if len({row.task for row in own}) >= least]
    taken = {id(row) for _, own in large for row in own}
    return large, [row for row in rows if id(row) not in taken]


@dataclass(frozen=True)
class FamilyTable:
    """A table's title, its heads, the rows of means and medians, and one row for each task."""

    title: str
    heads: tuple[str, ...]
    means: tuple[str, ...]
    medians: tuple[str, ...]
    tasks: tuple[tuple[str, ...], ...]


def family_table(family: str, rows: Sequence[ScoreRow]) -> FamilyTable:
    """The means over tasks, with intervals over seeds, the medians over tasks, and then each task's
    own figures.

    Tasks are named without their family, which the title names.
    Test accuracies are means; times to be as good as RAM ever gets are middles of the seeds, their
    mean over tasks is that of the middles, and "times sooner" over tasks is a geometric mean. One
    task where a level is not reached leaves no such mean, but a median; beside that of "times
    sooner" is its interval over tasks, by the sign test. Where RAM never becomes better than a
    constant answer there is no such level; the other tasks' figure then says how many they are.
    There is neither mean nor median of an entry that was not run on each task: it would be of other
    tasks than the rest.
    """
    first = rows[0]
    entries = list(dict.fromkeys((row.method, row.learning_rate) for row in rows))
    by_task: dict[str, dict[Line, ScoreRow]] = {}
    for row in rows:
        by_task.setdefault(row.task, {})[row.method, row.learning_rate] = row
    balanced = all(row.test_balanced_accuracy is not None for row in rows)
    counts = sorted({len(row.seeds) for row in rows})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    alone = len({method for method, _ in entries}) == len(entries)
    heads = ["task"]
    means, medians = ([f"{over.name} of {len(by_task)}"] for over in (MEAN, MEDIAN))
    for entry in entries:
        name = entry[0] if alone else f"{entry[0]} at {rate_text(entry[1])}"
        heads += [f"{name}: {head}" for head in _heads(entry[0], balanced)]
        own = [found[entry] for found in by_task.values() if entry in found]
        blank = [""] * len(_heads(entry[0], balanced))
        everywhere = len(own) == len(by_task)
        means += _over(MEAN, own, balanced) if everywhere else blank
        medians += _over(MEDIAN, own, balanced) if everywhere else blank
    tasks = []
    for task, found in by_task.items():
        cells = [task.removeprefix(f"{family}-")]
        for entry in entries:
            blank = [""] * len(_heads(entry[0], balanced))
            cells += _of_row(found[entry], balanced) if entry in found else blank
        tasks.append(tuple(cells))
    title = (
        f"{family}, {first.protocol}, {first.model}: {len(by_task)} tasks, "
        f"{first.iterations:,} iterations, {seeds} {'seed' if seeds == '1' else 'seeds'}"
    )
    return FamilyTable(title, tuple(heads), tuple(means), tuple(medians), tuple(tasks))


def _heads(method: str, balanced: bool) -> list[str]:
    heads = ["test, %", *(["balanced, %"] if balanced else []), "as good as ram ever gets"]
    return heads if method == "ram" else [*heads, "times sooner"]


def _of_row(row: ScoreRow, balanced: bool) -> list[str]:
    cells = [percent(row.test_accuracy.mean)]
    if balanced and row.test_balanced_accuracy is not None:
        cells.append(percent(row.test_balanced_accuracy.mean))
    cells.append(span_text(row.as_good.middle) if row.as_good else "")
    if row.method != "ram":
        cells.append(span_text(row.headline.middle, times) if row.headline else "")
    return cells


@dataclass(frozen=True)
class Over:
    """How figures of many tasks become one, as text: times, ratios of times, accuracies."""

    name: str
    time: Callable[[Sequence[Span]], str]
    ratio: Callable[[Sequence[Span]], str]
    accuracy: Callable[[Sequence[ScoreRow], Measured], str]


def _mean_time(spans: Sequence[Span]) -> str:
    from nogs_bench.results import mean_span

    return span_text(mean_span(spans), whole)


def _mean_ratio(spans: Sequence[Span]) -> str:
    """The geometric mean, as fits ratios."""
    from nogs_bench.results import geometric_span

    return span_text(geometric_span(spans), times)


def _mean_accuracy(rows: Sequence[ScoreRow], of: Measured) -> str:
    """Of the mean, seed by seed; of the seeds' means where tasks have other seeds, which has no
    interval. Each row must have the figure."""
    from nogs_bench.results import estimate

    each = [found for row in rows if (found := of(row)) is not None]
    if len({row.seeds for row in rows}) > 1:
        return estimate_text(estimate([statistics.fmean(one.mean for one in each)]), percent)
    by_seed = zip(*(one.values for one in each), strict=True)
    return estimate_text(estimate([statistics.fmean(values) for values in by_seed]), percent)


def _median_time(spans: Sequence[Span]) -> str:
    from nogs_bench.results import median_span

    return span_text(median_span(spans))


def _median_ratio(spans: Sequence[Span]) -> str:
    """With its interval by the sign test where it has one."""
    from nogs_bench.results import median_span, sign_interval

    text, interval = span_text(median_span(spans), times), sign_interval(spans)
    if interval.bounded:
        return f"{text} [{times(interval.low)}, {times(interval.high)}]"
    return f"{text} [{span_text(interval, times)}]" if interval.known else text


def _median_accuracy(rows: Sequence[ScoreRow], of: Measured) -> str:
    return percent(statistics.median(each.mean for row in rows if (each := of(row)) is not None))


MEAN = Over("mean", _mean_time, _mean_ratio, _mean_accuracy)
MEDIAN = Over("median", _median_time, _median_ratio, _median_accuracy)


def over_spans(text: Callable[[Sequence[Span]], str], spans: Sequence[Span | None]) -> str:
    """The text of those that there are, and of how many they are, if not all; "" if there are
    none."""
    there = [span for span in spans if span is not None]
    if not there:
        return ""
    return text(there) + (f" ({len(there)} of {len(spans)})" if len(there) < len(spans) else "")


def _over(over: Over, rows: Sequence[ScoreRow], balanced: bool) -> list[str]:
    """What `_of_row` gives of a task, over tasks."""
    cells = [over.accuracy(rows, lambda row: row.test_accuracy)]
    if balanced:
        cells.append(over.accuracy(rows, lambda row: row.test_balanced_accuracy))
    cells.append(
        over_spans(over.time, [row.as_good.middle if row.as_good else None for row in rows])
    )
    if rows[0].method != "ram":
        sooner = [row.headline.middle if row.headline else None for row in rows]
        cells.append(over_spans(over.ratio, sooner))
    return cells
