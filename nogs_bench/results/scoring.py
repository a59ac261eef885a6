"""Curves to numbers: everything a score says is recomputed here from the raw results."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.results.curves import (
    Curve,
    Time,
    area_under_curve,
    iterations_to_accuracy,
    iterations_to_cross_entropy,
    time_to_target,
)
from nogs_bench.results.intervals import Estimate, SpeedUp, estimate, speed_up, speed_up_of_means
from nogs_bench.results.ranking import Profile, performance_profiles, rank_ranges
from nogs_bench.results.result import RunResult, load_results
from nogs_bench.tasks import Convergence, Task, get_task

BASELINE = "ram"


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one (task, protocol, method, model) over its seeds.

    - `convergence`: the task's own criterion of the two that follow.
    - `convergence_cross_entropy`: `iterations_to_cross_entropy` (figure 5).
    - `convergence_accuracy`: `iterations_to_accuracy` (Table 1, CUB).
    - `time_to_target`: `time_to_target` at the protocol's `target_accuracy`; `time_bounds`: the
      low and high of each seed, high None where the run never got there.
    - `test_accuracy`: of single rollouts; `test_accuracy_averaged`: of M rollouts' mean.
    - `best_accuracy`: highest validation accuracy of the curve.
    - `area_under_curve`: mean validation accuracy over the run.
    - `speed_up`: over RAM in time to target, the geometric mean over seeds; `speed_up_of_means`:
      the ratio of mean times; `convergence_speed_up`: the same of `convergence`; `test_gain`: of
      test accuracy. Paired by seed; None without RAM runs of the same seeds.
    - `rank`: the best and the worst that it can have by time to target among all methods and
      models of the task and protocol; None where these ran for different lengths.
    """

    task: str
    protocol: str
    method: str
    model: str
    seeds: tuple[int, ...]
    iterations: int
    target_accuracy: float
    convergence: Estimate
    convergence_cross_entropy: Estimate
    convergence_accuracy: Estimate
    time_to_target: Estimate
    time_bounds: tuple[tuple[float, float | None], ...]
    best_accuracy: Estimate
    test_accuracy: Estimate
    test_accuracy_averaged: Estimate
    test_cross_entropy: Estimate
    area_under_curve: Estimate
    speed_up: SpeedUp | None
    speed_up_of_means: SpeedUp | None
    convergence_speed_up: SpeedUp | None
    test_gain: Estimate | None
    rank: tuple[int, int] | None = None

    @property
    def times(self) -> list[float]:
        """Time to target of each seed, infinite where it never got there."""
        return [math.inf if high is None else high for _, high in self.time_bounds]


@dataclass(frozen=True)
class Scores:
    """Rows ordered by task, protocol and model; RAM first, then methods by name."""

    rows: tuple[ScoreRow, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain JSON values."""
        return [asdict(row) for row in self.rows]

    def profiles(self) -> dict[tuple[str, str], Profile]:
        """(method, model) to its performance profile; the workloads are tasks and protocols.

        The time of a workload is the median over seeds, infinite where that is censored.
        """
        times: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
        for row in self.rows:
            workload = row.task, row.protocol
            times.setdefault((row.method, row.model), {})[workload] = statistics.median(row.times)
        return performance_profiles(times)


def score(results: str | Path, task: str | Task | None = None) -> Scores:
    """Scores of all results in the folder `results`.

    `task` registers a task of the user's own (`FILE.py:NAME`) first. Raises `NogsError` if a file
    is bad, a task unknown or of another version, or two results of a group were made differently.
    """
    if task is not None:
        get_task(task)
    return score_runs(load_results(Path(results)))


def score_runs(runs: Sequence[RunResult]) -> Scores:
    """Scores of loaded results."""

    def group(run: RunResult) -> tuple[str, str, str, bool, str]:
        return run.task, run.protocol, run.model.name, run.method != BASELINE, run.method

    rows: list[ScoreRow] = []
    ordered = sorted(runs, key=lambda run: (*group(run), run.seed))
    for _, members in groupby(ordered, key=lambda run: (run.task, run.protocol, run.model.name)):
        same_setting = list(members)
        baseline = {run.seed: run for run in same_setting if run.method == BASELINE}
        for _, own in groupby(same_setting, key=group):
            rows.append(_row(list(own), baseline))
    return Scores(tuple(_ranked(rows)))


def _row(runs: list[RunResult], baseline: dict[int, RunResult]) -> ScoreRow:
    first = runs[0]
    task = get_task(first.task)
    target = task.protocol(first.protocol).target_accuracy
    for run in [*runs, *baseline.values()]:
        if run.task_version != task.version:
            raise NogsError(
                f"{run.name} is of version {run.task_version} of the task, this package has "
                f"{task.version}; score it with the package it was made with"
            )
        if run.hyperparameters.iterations != first.hyperparameters.iterations:
            raise NogsError(
                f"{run.name} ran {run.hyperparameters.iterations} iterations, {first.name} "
                f"{first.hyperparameters.iterations}; keep results of one length in a folder"
            )
    curves = [run.curve for run in runs]
    settled = [_settled(task.convergence, curve) for curve in curves]
    convergence = {name: estimate([each[name] for each in settled]) for name in settled[0]}
    times = [time_to_target(curve, target) for curve in curves]
    return ScoreRow(
        task=first.task,
        protocol=first.protocol,
        method=first.method,
        model=first.model.name,
        seeds=tuple(run.seed for run in runs),
        iterations=first.hyperparameters.iterations,
        target_accuracy=target,
        convergence=convergence[task.convergence.criterion],
        convergence_cross_entropy=convergence["cross-entropy"],
        convergence_accuracy=convergence["accuracy"],
        time_to_target=estimate([t.low for t in times], sum(t.censored for t in times)),
        time_bounds=tuple((t.low, None if t.censored else t.high) for t in times),
        best_accuracy=estimate([max(point.accuracy for point in curve) for curve in curves]),
        area_under_curve=estimate([area_under_curve(curve) for curve in curves]),
        test_accuracy=estimate([run.test.accuracy for run in runs]),
        test_accuracy_averaged=estimate([run.test.averaged_accuracy for run in runs]),
        test_cross_entropy=estimate([run.test.cross_entropy for run in runs]),
        **_over_baseline(task, target, runs, baseline),
    )


def _over_baseline(
    task: Task, target: float, runs: list[RunResult], baseline: dict[int, RunResult]
) -> dict[str, Any]:
    """What is said in comparison with RAM, over the seeds that both have."""
    own = [run for run in runs if run.method != BASELINE and run.seed in baseline]
    other = [baseline[run.seed] for run in own]
    seeds = [run.seed for run in own]
    fast, slow = ([time_to_target(run.curve, target) for run in each] for each in (own, other))
    criteria = task.convergence
    soon, late = ([_convergence_time(criteria, run.curve) for run in each] for each in (own, other))
    gains = [a.test.accuracy - b.test.accuracy for a, b in zip(own, other, strict=True)]
    return {
        "speed_up": speed_up(slow, fast, seeds),
        "speed_up_of_means": speed_up_of_means(slow, fast, seeds),
        "convergence_speed_up": speed_up_of_means(late, soon, seeds),
        "test_gain": estimate(gains) if gains else None,
    }


def _ranked(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows, in their order, each with its rank among those of its task and protocol."""
    ranks: dict[int, tuple[int, int]] = {}
    by_board = defaultdict(list)
    for number, row in enumerate(rows):
        by_board[row.task, row.protocol].append(number)
    for board in by_board.values():
        if len({rows[number].iterations for number in board}) == 1:
            found = rank_ranges([rows[number].times for number in board])
            ranks |= dict(zip(board, found, strict=True))
    return [replace(row, rank=ranks.get(number)) for number, row in enumerate(rows)]


def _settled(criteria: Convergence, curve: Curve) -> dict[str, int]:
    """Iterations to convergence by each of the paper's criteria."""
    return {
        "cross-entropy": iterations_to_cross_entropy(curve, criteria.cross_entropy_tolerance),
        "accuracy": iterations_to_accuracy(curve, criteria.accuracy_tolerance),
    }


def _convergence_time(criteria: Convergence, curve: Curve) -> Time:
    at = _settled(criteria, curve)[criteria.criterion]
    return Time(at, at or curve[1].iteration)
