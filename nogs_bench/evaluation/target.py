"""A protocol's target, measured: where RAM's median run stands half-way."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.files import replacing
from nogs_bench.results import RunResult, load_results
from nogs_bench.tasks import Task, get_task

SEEDS = (1_000, 1_001, 1_002)  # none that is scored
LINE = re.compile(r"^TARGET = .*$", re.M)


@dataclass(frozen=True)
class Target:
    """What RAM's runs say a protocol's target should be.

    - `value`: the target, rounded down to a whole per cent; `judged_by`: what it is about.
    - `halfway`: of each run, its best in the first half, 0 .. 1.
    - `written`: the file that holds it now, if one does.
    """

    task: str
    protocol: str
    judged_by: str
    value: float
    halfway: tuple[float, ...]
    written: str | None = None


def measure_target(
    task: str | Task,
    protocol: str | None = None,
    *,
    out: str | Path | None = None,
    iterations: int | None = None,
    **given: Any,
) -> Target:
    """Measure a target: train RAM with three seeds that are not scored.

    The target is the accuracy that the median run reaches in the first half of its iterations. This
    is the rule of `cluttered-digits`, `fashion-mnist` and `cluttered-fashion`. If `task` is
    `FILE.py:NAME` and the file has a line `TARGET = ...`, as `nogs-bench task --out` writes it, the
    line is replaced.

    **Arguments**

    - `protocol`: name of one of the task's protocols; None: its first.
    - `out`: folder of the runs, kept (default: `results-target/TASK`).
    - `iterations`: of each run (default: the protocol's).
    - `given`: as `evaluate` takes them (`data`, `device`, `workers`, ...).

    Raises `NogsError` as `evaluate`, and if the file has several such lines.
    """
    known = get_task(task)
    plan = known.protocol(protocol)
    folder = Path(out) if out else Path("results-target") / known.name
    _line(task)
    scores = evaluate(
        task=task,
        methods="ram",
        seeds=SEEDS,
        protocol=plan.name,
        out=folder,
        iterations=iterations,
        weights=False,
        **given,
    )
    (row,) = (row for row in scores.rows if row.method == "ram")
    asked = row.task, row.protocol, row.method, row.model
    found = tuple(
        halfway(run, row.judged_by)
        for run in load_results(folder)
        if (run.task, run.protocol, run.method, run.model.name) == asked and run.seed in SEEDS
    )
    value = whole_per_cent(statistics.median(found))
    return Target(row.task, plan.name, row.judged_by, value, found, write_target(task, value))


def halfway(run: RunResult, judged_by: str) -> float:
    """The best that a run was in the first half of its iterations."""
    most = run.hyperparameters.iterations / 2
    return max(p.judged(judged_by) for p in run.curve if p.iteration <= most)


def whole_per_cent(share: float) -> float:
    """`share`, 0 .. 1, rounded down to a whole per cent: .29 stays, though 100 * .29 < 29."""
    return math.floor(round(100 * share, 6)) / 100


def write_target(task: str | Task, value: float) -> str | None:
    """Write a target into the file of a task `FILE.py:NAME`; its name, or None if it has no line
    for that."""
    found = _line(task)
    if found is None:
        return None
    file, text = found
    with replacing(file) as temporary:
        temporary.write_text(LINE.sub(f"TARGET = {value}", text), encoding="utf-8")
    return str(file)


def _line(task: str | Task) -> tuple[Path, str] | None:
    """The task's file and its text, if one line there is for the target. `NogsError` if several."""
    file = Path(task.rpartition(":")[0]) if isinstance(task, str) else Path()
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = len(LINE.findall(text))
    if lines > 1:
        raise NogsError(f"{file} has more than one line TARGET = ...; keep one")
    return (file, text) if lines else None
