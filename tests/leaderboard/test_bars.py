"""Bars of a family's tasks: as long, on the axis that is drawn, as the times are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from board import board_run, board_runs
from nogs_bench.leaderboard.bars import family_bars
from nogs_bench.leaderboard.page import render
from nogs_bench.results import RunResult, ScoreRow, score_runs
from nogs_bench.results.result import Point

TASKS = ("celeba-10k-eyeglasses", "celeba-10k-smiling")


def marks(row: ScoreRow) -> tuple[int, dict[str, str]]:
    return 2, {"method": row.method}


def settling(method: str, task: str, at: int, before: float = 0.6) -> Iterator[RunResult]:
    """Five runs whose cross-entropy falls from `before` to .3 in one step at iteration `at`."""

    def settled(point: Point) -> Point:
        done = point.iteration >= at
        return point.model_copy(
            update={"cross_entropy": 0.3 if done else before, "accuracy": 0.9 if done else 0.5}
        )

    for seed in range(5):
        run = board_run(method, seed, task)
        yield run.model_copy(update={"curve": tuple(map(settled, run.curve))})


def drawn(chart: str, task: str, method: str) -> str:
    (found,) = re.findall(rf"<title>{task}, {method}: .*?</g>", chart)
    return str(found)


def placed(bar: str) -> tuple[float, float]:
    found = re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', bar)
    assert found
    return float(found[1]), float(found[2])


def iterations(chart: str) -> Callable[[float], float]:
    """From pixels to iterations, by the axis' own labels."""
    labels = re.findall(r'x="([\d.]+)" y="\d+" text-anchor="middle">([\d,]+)<', chart)
    (zero, first), (end, last) = [(float(x), int(n.replace(",", ""))) for x, n in labels[::4]][:2]
    return lambda x: first + (x - zero) / (end - zero) * (last - first)


def test_bars_end_where_methods_are_done() -> None:
    runs = [
        *settling("ram", TASKS[0], 8_000),
        *settling("ps-nogs", TASKS[0], 2_000),
        *settling("ram", TASKS[1], 20_000),
        *settling("ps-nogs", TASKS[1], 30_000, before=0.8),
    ]
    (family,) = family_bars(score_runs(runs).rows, marks)
    assert (family.name, family.protocol, family.tasks) == ("celeba-10k", "scratch", 2)
    for chart in (family.converged, family.as_good):
        read = iterations(chart)
        for method, expected in (("ram", 8_000), ("ps-nogs", 2_000)):
            bar = drawn(chart, TASKS[0], method)
            left, width = placed(bar)
            assert abs(read(left + width) - expected) < 30, (method, bar)
            assert "polygon" not in bar
    # The least lies at the very end: RAM has not converged, and an arrow says so.
    assert "polygon" in drawn(family.converged, TASKS[1], "ram")
    # The other never moved: nothing was learned.
    never = drawn(family.converged, TASKS[1], "ps-nogs")
    assert "not learned" in never
    assert "<rect" not in never


def test_a_task_alone_has_no_bars() -> None:
    assert family_bars(score_runs(list(board_runs(task=TASKS[0]))).rows, marks) == []
    html = render([run for task in TASKS for run in board_runs(task=task)])
    assert html.count('<g class="bar ') == 2 * 2 * 2
    assert 'href="#family-0"' in html
    assert 'href="#family-0"' not in render(list(board_runs()))
