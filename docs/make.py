"""What in the documentation is computed: written between its marks, from the results.

    python docs/make.py tables        # README.md, docs/results.md and ways.md, from the results
    python docs/make.py protocols     # docs/tasks.md, from the tasks
    python docs/make.py shipped       # docs/sequences.md, from the shipped sequences' record
    python docs/make.py coverage      # docs/coverage.md, by simulation (minutes)

A mark is `<!-- NAME -->`, its end `<!-- end NAME -->`. `python docs/make.py tables --check` writes
nothing, and fails if something would change.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from nogs_bench.figures import (
    duration,
    estimate_text,
    method_text,
    percent,
    points,
    rate_text,
    span_text,
    spans_text,
    target,
    times,
)
from nogs_bench.figures.families import LEAST, over_tasks
from nogs_bench.files import read_provenance
from nogs_bench.leaderboard.validation import load_board
from nogs_bench.methods import place_of
from nogs_bench.results import Estimate, ScoreRow, Span, SpanEstimate, combined, mean_span
from nogs_bench.sequences import SHIPPED
from nogs_bench.tasks import TASKS, get_task

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "leaderboard" / "results"
HEADLINE = ("ps-nogs", "ps-nogs-anneal")
STUDY = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5", "ps-nogs-anneal")
# What teaches, beside the label; all at the rate of RAM.
ABLATION = {
    "nothing": "ram",
    "locations": "ps-nogs",
    "maps": "ps-nogs-maps",
    "beliefs": "ram-taught+rate-1",
    "locations, maps": "ps-nogs-maps+minimum-1",
    "locations, beliefs": "ps-nogs-taught+rate-1",
    "maps, beliefs": "ps-nogs-maps-taught+rate-1",
    "locations, maps, beliefs": "ps-nogs-maps-taught+minimum-1+rate-1",
}
PHOTOGRAPH = 3  # channels
NONE = "\N{EN DASH}"
# Of `headline`, where there is none.
WITHOUT_PRETRAINING = (0, 1, 2, 4, 5, 6)

Table = tuple[list[str], list[list[str]]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=sorted(WRITERS))
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if outdated")
    given = arguments.parse_args()
    changed = [name for name, text in WRITERS[given.what]() if _write(name, text, given.check)]
    if given.check and changed:
        sys.exit(f"outdated: {', '.join(changed)}; run python docs/make.py {given.what}")
    print(f"written: {', '.join(changed) or 'nothing has changed'}")


def tables() -> Iterable[tuple[str, dict[str, str]]]:
    """Each file, and the text of each of its marks."""
    rows = load_board(RESULTS).rows
    plain = [row for row in rows if row.model == "reference"]
    photographs = [row for row in plain if _photographed(row)]
    drawn = [row for row in plain if not _photographed(row)]
    paper = [row for row in drawn if row.method in STUDY and _at_reference(row)]
    scratch = [row for row in drawn if row.protocol == "scratch"]
    yield (
        "README.md",
        {
            "photographs": markdown(columns(headline(photographs, LEAST), WITHOUT_PRETRAINING)),
            "headline": markdown(headline(paper)),
        },
    )
    yield (
        "docs/results.md",
        {
            "photographs": markdown(study(photographs)),
            "study": markdown(study(paper)),
            "attributes": markdown(attributes(plain)),
        },
    )
    yield (
        "docs/ways.md",
        {"ways": markdown(ways(scratch)), "ablation": markdown(ablation(scratch))},
    )


def headline(rows: Sequence[ScoreRow], each_of: int = 0) -> Table:
    """PS-NOGS, fading or not, beside RAM: by every criterion.

    Tasks of a family of at least `each_of` have a row each before the family's, if it is not 0.
    """
    heads = [
        "task, protocol",
        "method",
        "times sooner as good as RAM ever gets",
        "with pre-training",
        "times sooner by the paper's criterion",
        "times sooner to the target",
        "test accuracy, % (RAM's)",
    ]
    found = []
    for name, members in _settings(rows, each_of=each_of):
        for method, own in _entries(members):
            if own[0].method in HEADLINE:
                tasks = {row.task for row in own}
                rams = (row for row in members if row.method == "ram" and row.task in tasks)
                ram = [row for row in rams if _at_reference(row)]
                accuracy, other = _accuracy(own), _accuracy(ram)
                found.append(
                    [
                        name,
                        method,
                        _speed(own, lambda row: row.headline),
                        _speed(own, lambda row: row.with_pretraining.get("as_good")),
                        _paper(own),
                        _speed(own, lambda row: row.speed_ups.get("time_to_target")),
                        f"{accuracy} ({other})" if other != NONE else accuracy,
                    ]
                )
    return heads, found


def study(rows: Sequence[ScoreRow]) -> Table:
    """Every method of every task and protocol; large families as means over their tasks."""
    heads = [
        "task, protocol, target, RAM's rate",
        "method",
        "iterations until as good as RAM",
        "times sooner",
        "with pre-training",
        "iterations to the target",
        "times sooner",
        "converged, the paper's way",
        "times sooner, as the paper counts",
        "test accuracy, %",
        "balanced, %",
        "build",
    ]
    found = []
    for name, members in _settings(rows, about=True):
        for method, own in _entries(members):
            found.append(
                [
                    name,
                    method,
                    _time(own, lambda row: row.as_good),
                    _speed(own, lambda row: row.headline),
                    _speed(own, lambda row: row.with_pretraining.get("as_good")),
                    _time(own, lambda row: row.time_to_target),
                    _speed(own, lambda row: row.speed_ups.get("time_to_target")),
                    _time(own, lambda row: row.convergence),
                    _paper(own),
                    _accuracy(own),
                    _accuracy(own, lambda row: row.test_balanced_accuracy),
                    _build(own),
                ]
            )
    return heads, found


def ways(rows: Sequence[ScoreRow]) -> Table:
    """Every way of training, beside RAM."""
    heads = [
        "task, protocol, target, RAM's rate",
        "method",
        "times sooner as good as RAM ever gets",
        "iterations to the target",
        "times sooner",
        "accuracy over the whole run, points above RAM's",
        "test accuracy, %",
    ]
    found = []
    for name, members in _settings(rows, about=True):
        for method, own in _entries(members):
            found.append([name, method, *_way(own)])
    return heads, found


def ablation(rows: Sequence[ScoreRow]) -> Table:
    """What each part of what teaches adds, where all were run."""
    heads = ["task, protocol, target, RAM's rate", "method", "taught by", *ways(())[0][2:]]
    found = []
    for name, members in _settings(rows, about=True):
        of = {row.method: [row] for row in members if _at_reference(row)}
        if all(method in of for method in ABLATION.values()):
            found += [
                [name, f"`{method}`", taught, *_way(of[method])]
                for taught, method in ABLATION.items()
            ]
    return heads, found


def _way(own: Sequence[ScoreRow]) -> list[str]:
    """A row of `ways`, of one task."""
    (row,) = own
    return [
        _speed(own, lambda row: row.headline),
        _time(own, lambda row: row.time_to_target),
        _speed(own, lambda row: row.speed_ups.get("time_to_target")),
        estimate_text(row.area_gain, points) or NONE,
        _accuracy(own),
    ]


def attributes(rows: Sequence[ScoreRow]) -> Table:
    """Each task of the large families."""
    heads = ["task", "method", "times sooner as good as RAM", "test accuracy, %", "balanced, %"]
    found = []
    for _, members in _settings(rows):
        if len({row.task for row in members}) > 1:
            for row in sorted(members, key=lambda row: (row.task, place_of(row.method))):
                balanced = estimate_text(row.test_balanced_accuracy, percent) or NONE
                speed, own = _speed([row], lambda row: row.headline), [row]
                found.append([f"`{row.task}`", f"`{row.method}`", speed, _accuracy(own), balanced])
    return heads, found


def columns(table: Table, which: Sequence[int]) -> Table:
    """Some columns of a table."""
    heads, rows = table
    return [heads[at] for at in which], [[row[at] for at in which] for row in rows]


def _photographed(row: ScoreRow) -> bool:
    return get_task(row.task).channels == PHOTOGRAPH


def _settings(
    rows: Sequence[ScoreRow], about: bool = False, each_of: int = 0
) -> Iterable[tuple[str, list[ScoreRow]]]:
    """Rows that stand together, with their name: photographs first, a large family as one."""
    families: dict[str, set[str]] = {}
    for row in rows:
        families.setdefault(get_task(row.task).family, set()).add(row.task)

    def key(row: ScoreRow) -> tuple[int, str, str, str]:
        task = get_task(row.task)
        large = len(families[task.family]) >= LEAST
        return -task.channels, task.family if large else row.task, row.protocol, row.model

    for (_, name, protocol, model), own in groupby(sorted(rows, key=key), key=key):
        members = list(own)
        first, tasks = members[0], sorted({row.task for row in members})
        if each_of and len(tasks) >= each_of:
            for task in tasks:
                yield f"`{task}`, `{protocol}`", [row for row in members if row.task == task]
        one = len(tasks) == 1
        title = f"`{name}`, `{protocol}`" if one else f"`{name}`, mean of {len(tasks)} tasks"
        if model != "reference":
            title += f", {model}"
        older = next((said for said in first.remarks if said.startswith("version ")), "")
        if older:
            title += f" ({older.partition(' of ')[0]})"
        if about and one:
            rate = first.reference_rate or first.learning_rate
            title += f", {target(first.target_accuracy)} %, {rate_text(rate)}"
        yield title, members


def _entries(rows: Sequence[ScoreRow]) -> list[tuple[str, list[ScoreRow]]]:
    """The rows of each method and rate, in the registry's order, by name; which says of how many
    tasks they are, if not of all."""
    tasks = {row.task for row in rows}

    def key(row: ScoreRow) -> tuple[tuple[int, str], float]:
        return place_of(row.method), row.learning_rate

    found = []
    for _, own in groupby(sorted(rows, key=key), key=key):
        members = list(own)
        first = members[0]
        rate = method_text(first).removeprefix(first.method)
        count = len({row.task for row in members})
        part = f" ({count} of {len(tasks)} tasks)" if count < len(tasks) else ""
        found.append((f"`{first.method}`{rate}{part}", members))
    return found


def _at_reference(row: ScoreRow) -> bool:
    return row.reference_rate in (None, row.learning_rate)


Of = Callable[[ScoreRow], SpanEstimate | None]


def _time(rows: Sequence[ScoreRow], of: Of) -> str:
    """Of one task, with its interval; of many, the mean."""
    if len(rows) == 1:
        return spans_text(of(rows[0])) or NONE
    return _over_tasks([of(row) for row in rows], "{:,.0f}".format, _mean)


def _speed(rows: Sequence[ScoreRow], of: Of) -> str:
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


def _paper(rows: Sequence[ScoreRow]) -> str:
    """The ratio of mean iterations to convergence, wherever in a run its best lies."""
    spans = [row.ratio_of_means.get("paper") for row in rows]
    return (
        _combined(spans, times)
        if len(rows) > 1
        else span_text(spans[0], times)
        if spans[0]
        else NONE
    )


def _accuracy(
    rows: Sequence[ScoreRow],
    of: Callable[[ScoreRow], Estimate | None] = lambda row: row.test_accuracy,
) -> str:
    """Of one task, or the mean over tasks, seed by seed; with its interval over seeds."""
    found = [each for each in map(of, rows) if each is not None]
    if not found or len(found) < len(rows):
        return NONE
    return estimate_text(found[0] if len(found) == 1 else over_tasks(found), percent)


def _build(rows: Sequence[ScoreRow]) -> str:
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


def protocols() -> Iterable[tuple[str, dict[str, str]]]:
    """How long each task trains, for what, and with how many sequences; families once."""
    heads = [
        "task",
        "version",
        "protocol (the first is the default)",
        "iterations",
        "of pre-training before",
        "target, %",
        "sequences that train, at most",
        "sequences that a build makes",
    ]
    found: list[list[str]] = []
    for family, members in groupby(map(get_task, TASKS.names()), key=lambda task: task.family):
        same = list(members)
        task = same[0]
        large = len(same) >= LEAST
        for plan in task.protocols:
            targets = {each.protocol(plan.name).target_accuracy for each in same}
            rows = [(f"{family}-..." if large else task.name, task, targets)]
            if not large:
                rows = [(t.name, t, {t.protocol(plan.name).target_accuracy}) for t in same]
            for name, each, goals in rows:
                ends = sorted({target(goal) for goal in goals}, key=float)
                training = each.protocol(plan.name).training or each.training
                before = plan.pretraining.iterations if plan.pretraining else 0
                found.append(
                    [
                        f"`{name}`",
                        str(each.version),
                        f"`{plan.name}`",
                        f"{plan.iterations:,}",
                        f"{before:,}" if before else NONE,
                        ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}",
                        f"{training.supervised:,}",
                        f"{each.annotation.images:,}",
                    ]
                )
    yield "docs/tasks.md", {"protocols": markdown((heads, found))}


def shipped() -> Iterable[tuple[str, dict[str, str]]]:
    """What a posterior knows along the sequences that come with the package."""
    record = read_provenance(SHIPPED / "cluttered-digits")
    quality = record["quality"]
    steps = len(quality["built"]["stated"])
    heads = ["sequences", *(f"t = {t}" for t in range(1, steps + 1))]
    found = [
        [f"{name}, {what}", *(f"{value:.3f}" for value in quality[name][key])]
        for name, key, what in (
            ("built", "accuracy", "accuracy"),
            ("built", "cross_entropy", "true cross-entropy, nats"),
            ("built", "searched", "EPE as searched, nats"),
            ("built", "stated", "stated, nats"),
            ("random", "accuracy", "accuracy"),
            ("random", "cross_entropy", "true cross-entropy, nats"),
        )
    ]
    yield "docs/sequences.md", {"shipped": markdown((heads, found))}


def coverage() -> Iterable[tuple[str, dict[str, str]]]:
    """Both tables of the simulation."""
    command = [sys.executable, str(ROOT / "benchmarks" / "coverage.py")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    yield "docs/coverage.md", {"coverage": printed.rpartition("\n{")[0].strip()}


def _write(name: str, parts: dict[str, str], check: bool) -> bool:
    """Put the texts between the marks of a file; whether it has changed."""
    path = ROOT / name
    before = text = path.read_text(encoding="utf-8")
    for mark, part in parts.items():
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- end {mark} -->)"
        text, count = re.subn(pattern, lambda m: f"{m[1]}\n{part}\n\n{m[2]}", text, flags=re.S)  # noqa: B023
        if count != 1:
            sys.exit(f"{name} must have the mark <!-- {mark} --> once, it has it {count} times")
    if text != before and not check:
        path.write_text(text, encoding="utf-8")
    return text != before


WRITERS: dict[str, Callable[[], Iterable[tuple[str, dict[str, str]]]]] = {
    "tables": tables,
    "coverage": coverage,
    "protocols": protocols,
    "shipped": shipped,
}


if __name__ == "__main__":
    main()
