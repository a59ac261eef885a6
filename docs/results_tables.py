"""Tables of the leaderboard's results, as README.md and docs/ show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from cells import NONE, Table, accuracy, build, paper, speed, time

from nogs_bench.figures import estimate_text, method_text, percent, points, rate_text, target
from nogs_bench.figures.families import LEAST, MEAN, MEDIAN, Measured, Over
from nogs_bench.methods import place_of
from nogs_bench.results import ScoreRow
from nogs_bench.tasks import get_task

HEADLINE = ("ps-nogs", "ps-nogs-anneal")
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


def headline(rows: Sequence[ScoreRow], shown: Collection[str] = ()) -> Table:
    """PS-NOGS, fading or not, beside RAM: by every criterion.

    Of a large family, those tasks that are `shown` have a row each before the family's.
    """
    heads = [
        "task, protocol",
        "method",
        "times sooner as good as RAM ever gets",
        "with pre-training",
        "times sooner by the paper's criterion",
        "times sooner to the target",
        "test accuracy, % (RAM's)",
        "balanced, % (RAM's)",
    ]
    found = []
    for name, members, over in _settings(rows, shown=shown):
        for method, own in entries(members):
            if own[0].method in HEADLINE:
                tasks = {row.task for row in own}
                rams = (row for row in members if row.method == "ram" and row.task in tasks)
                ram = [row for row in rams if at_reference(row)]
                found.append(
                    [
                        name,
                        method,
                        speed(own, lambda row: row.headline, over),
                        speed(own, lambda row: row.with_pretraining.get("as_good"), over),
                        paper(own, over),
                        speed(own, lambda row: row.speed_ups.get("time_to_target"), over),
                        _beside(own, ram, lambda row: row.test_accuracy, over),
                        _beside(own, ram, lambda row: row.test_balanced_accuracy, over),
                    ]
                )
    return heads, found


def _beside(own: Sequence[ScoreRow], ram: Sequence[ScoreRow], of: Measured, over: Over) -> str:
    """An accuracy, and RAM's in brackets, if RAM was run."""
    mine, other = accuracy(own, of, over), accuracy(ram, of, over)
    return f"{mine} ({other})" if other != NONE else mine


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
    for name, members, over in _settings(rows, about=True):
        for method, own in entries(members):
            found.append(
                [
                    name,
                    method,
                    time(own, lambda row: row.as_good, over),
                    speed(own, lambda row: row.headline, over),
                    speed(own, lambda row: row.with_pretraining.get("as_good"), over),
                    time(own, lambda row: row.time_to_target, over),
                    speed(own, lambda row: row.speed_ups.get("time_to_target"), over),
                    time(own, lambda row: row.convergence, over),
                    paper(own, over),
                    accuracy(own, over=over),
                    accuracy(own, lambda row: row.test_balanced_accuracy, over),
                    build(own),
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
    for name, members, _ in _settings(rows, about=True):
        for method, own in entries(members):
            found.append([name, method, *_way(own)])
    return heads, found


def ablation(rows: Sequence[ScoreRow]) -> Table:
    """What each part of what teaches adds, where all were run."""
    heads = ["task, protocol, target, RAM's rate", "method", "taught by", *ways(())[0][2:]]
    found = []
    for name, members, _ in _settings(rows, about=True):
        of = {row.method: [row] for row in members if at_reference(row)}
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
        speed(own, lambda row: row.headline),
        time(own, lambda row: row.time_to_target),
        speed(own, lambda row: row.speed_ups.get("time_to_target")),
        estimate_text(row.area_gain, points) or NONE,
        accuracy(own),
    ]


def attributes(rows: Sequence[ScoreRow]) -> Table:
    """Each task of the large families."""
    heads = ["task", "method", "times sooner as good as RAM", "test accuracy, %", "balanced, %"]
    found = []
    for _, members, over in _settings(rows):
        if over is MEAN and len({row.task for row in members}) > 1:
            for row in sorted(members, key=lambda row: (row.task, place_of(row.method))):
                balanced = estimate_text(row.test_balanced_accuracy, percent) or NONE
                sooner, own = speed([row], lambda row: row.headline), [row]
                found.append([f"`{row.task}`", f"`{row.method}`", sooner, accuracy(own), balanced])
    return heads, found


def _settings(
    rows: Sequence[ScoreRow], about: bool = False, shown: Collection[str] = ()
) -> Iterable[tuple[str, list[ScoreRow], Over]]:
    """Rows that stand together, with their name: photographs first. A large family is one, by its
    mean and then by its median."""
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
        one = len(tasks) == 1
        if not one:
            for task in (task for task in shown if task in tasks):
                yield f"`{task}`, `{protocol}`", [row for row in members if row.task == task], MEAN
        title = f"`{name}`, `{protocol}`" if one else f"`{name}`, {{}} of {len(tasks)} tasks"
        if model != "reference":
            title += f", {model}"
        older = next((said for said in first.remarks if said.startswith("version ")), "")
        if older:
            title += f" ({older.partition(' of ')[0]})"
        if about and one:
            rate = first.reference_rate or first.learning_rate
            title += f", {target(first.target_accuracy)} %, {rate_text(rate)}"
        for over in (MEAN,) if one else (MEAN, MEDIAN):
            yield title.format(over.name), members, over


def entries(rows: Sequence[ScoreRow]) -> list[tuple[str, list[ScoreRow]]]:
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


def at_reference(row: ScoreRow) -> bool:
    return row.reference_rate in (None, row.learning_rate)
