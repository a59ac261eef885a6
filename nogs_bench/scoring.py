"""Curves to numbers: everything a score says is recomputed here from the raw results.

Times are in training iterations and known to the evaluation period. A time that a run did not
reach is censored: it is kept as "more than the run's length", never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.result import Point, RunResult, load_results
from nogs_bench.task import Convergence, Task, get_task

BASELINE = "ram"
RESAMPLES, LEVEL = 2000, 0.95

Curve = Sequence[Point]
Statistic = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Time:
    """An iteration count that is known to lie in `low .. high`.

    Reached at iteration i > 0: (i, i). Reached before training: (0, evaluation period), for what
    it is compared with. Not reached: (length of the run, infinity).
    """

    low: float
    high: float

    @property
    def censored(self) -> bool:
        return math.isinf(self.high)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its percentile bootstrap interval.

    - `values`: one for each seed, in the order of `ScoreRow.seeds`.
    - `censored`: how many of them are only known to be greater; if any, mean and interval are
      lower bounds.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    censored: int = 0


@dataclass(frozen=True)
class SpeedUp:
    """How many times sooner than the baseline, over the seeds that both have (geometric mean).

    The truth lies in `at_least .. at_most` (equal unless a time is censored; `at_most` is None
    where nothing bounds it). `low`, `high` (None: unbounded): percentile bootstrap interval.
    """

    at_least: float
    at_most: float | None
    low: float
    high: float | None
    seeds: tuple[int, ...]

    @property
    def exact(self) -> bool:
        return self.at_least == self.at_most


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one (task, protocol, method, model) over its seeds.

    - `convergence`: the task's own criterion of the two that follow.
    - `convergence_cross_entropy`: `iterations_to_cross_entropy` (figure 5).
    - `convergence_accuracy`: `iterations_to_accuracy` (Table 1, CUB).
    - `time_to_target`: `time_to_target` at the protocol's `target_accuracy`.
    - `test_accuracy`: of single rollouts; `test_accuracy_averaged`: of M rollouts' mean.
    - `best_accuracy`: highest validation accuracy of the curve.
    - `speed_up`: over RAM in time to target; None without RAM runs of the same seeds.
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
    best_accuracy: Estimate
    test_accuracy: Estimate
    test_accuracy_averaged: Estimate
    test_cross_entropy: Estimate
    speed_up: SpeedUp | None


@dataclass(frozen=True)
class Scores:
    """Rows ordered by task, protocol and model; RAM first, then methods by name."""

    rows: tuple[ScoreRow, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain JSON values."""
        return [asdict(row) for row in self.rows]


def iterations_to_cross_entropy(curve: Curve, tolerance: float) -> int:
    """First iteration with CE(i) <= min CE + `tolerance` nats (figure 5)."""
    limit = min(point.cross_entropy for point in curve) + tolerance
    return next(point.iteration for point in curve if point.cross_entropy <= limit)


def iterations_to_accuracy(curve: Curve, tolerance: float) -> int:
    """First iteration with accuracy(i) >= max accuracy - `tolerance` (Table 1, CUB)."""
    limit = max(point.accuracy for point in curve) - tolerance
    return next(point.iteration for point in curve if point.accuracy >= limit)


def time_to_target(curve: Curve, target: float) -> Time:
    """First iteration with accuracy(i) >= `target`; censored if there is none."""
    for point in curve:
        if point.accuracy >= target:
            return Time(point.iteration, point.iteration or curve[1].iteration)
    return Time(curve[-1].iteration, math.inf)


def speed_up(
    baseline: Sequence[Time], method: Sequence[Time], seeds: Sequence[int]
) -> SpeedUp | None:
    """Geometric mean over paired runs of baseline time / method time, with what is known of it.

    For a pair the ratio lies in baseline.low / method.high .. baseline.high / method.low.
    """
    if not seeds:
        return None
    pairs = list(zip(baseline, method, strict=True))
    least = np.array([own.low / other.high for own, other in pairs])
    most = np.array([own.high / other.low if other.low else math.inf for own, other in pairs])
    at_most = geometric_mean(most)
    low = bootstrap(least, geometric_mean)[0]
    high = bootstrap(most, geometric_mean)[1]
    return SpeedUp(
        at_least=geometric_mean(least),
        at_most=_finite(at_most),
        low=low,
        high=_finite(high),
        seeds=tuple(seeds),
    )


def geometric_mean(values: np.ndarray) -> float:
    """exp(mean(log values)); 0 if any is 0, unless one is infinite (then infinite)."""
    if np.isinf(values).any():
        return math.inf
    return float(np.exp(np.log(values).mean())) if (values > 0).all() else 0.0


def bootstrap(values: np.ndarray, statistic: Statistic) -> tuple[float, float]:
    """Percentile bootstrap interval at 95 % of `statistic` over the seeds' values (n,).

    2,000 resamples with replacement, drawn from a fixed seed. With one value, the interval is that
    value: it says nothing of the spread.
    """
    rng = np.random.default_rng(0)
    draws = values[rng.integers(len(values), size=(RESAMPLES, len(values)))]
    statistics = np.sort([statistic(draw) for draw in draws])
    tail = (1 - LEVEL) / 2
    # Order statistics rather than interpolation, which infinities would turn into NaN.
    at = [math.floor(tail * (RESAMPLES - 1)), math.ceil((1 - tail) * (RESAMPLES - 1))]
    return float(statistics[at[0]]), float(statistics[at[1]])


def estimate(values: Sequence[float], censored: int = 0) -> Estimate:
    """Mean and interval of one value for each seed."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    low, high = bootstrap(array, lambda draw: float(draw.mean()))
    return Estimate(mean, low, high, tuple(float(value) for value in values), censored)


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
    return Scores(tuple(rows))


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
    convergence = _convergence(task.convergence, curves)
    times = [time_to_target(curve, target) for curve in curves]
    paired = [run for run in runs if run.seed in baseline]
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
        best_accuracy=estimate([max(point.accuracy for point in curve) for curve in curves]),
        test_accuracy=estimate([run.test.accuracy for run in runs]),
        test_accuracy_averaged=estimate([run.test.averaged_accuracy for run in runs]),
        test_cross_entropy=estimate([run.test.cross_entropy for run in runs]),
        speed_up=None
        if first.method == BASELINE
        else speed_up(
            [time_to_target(baseline[run.seed].curve, target) for run in paired],
            [time_to_target(run.curve, target) for run in paired],
            [run.seed for run in paired],
        ),
    )


def _convergence(criteria: Convergence, curves: Sequence[Curve]) -> dict[str, Estimate]:
    by_cross_entropy = criteria.cross_entropy_tolerance
    by_accuracy = criteria.accuracy_tolerance
    return {
        "cross-entropy": estimate(
            [iterations_to_cross_entropy(curve, by_cross_entropy) for curve in curves]
        ),
        "accuracy": estimate([iterations_to_accuracy(curve, by_accuracy) for curve in curves]),
    }


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
