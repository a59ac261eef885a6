"""Curves to numbers: everything a score says is recomputed here from the raw results."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.notebook import html_rows
from nogs_bench.results.alike import check_alike
from nogs_bench.results.curves import (
    Convergence,
    Curve,
    area_under_curve,
    constant_accuracy,
    convergence_of_accuracy,
    convergence_of_cross_entropy,
    settled_accuracy,
    settled_cross_entropy,
    time_to_accuracy,
)
from nogs_bench.results.entries import load_results
from nogs_bench.results.ranking import Profile, performance_profiles, rank_ranges
from nogs_bench.results.reference import Reference, reference_of
from nogs_bench.results.result import RunResult
from nogs_bench.results.statistics import (
    Estimate,
    Span,
    SpanEstimate,
    estimate,
    estimate_spans,
    plain,
    ratio_of_means,
    ratios,
)
from nogs_bench.tasks import TASKS, Task, get_task

BASELINE = "ram"


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one (task, protocol, method, model, learning rate) over its seeds.

    Times, in iterations, are `SpanEstimate`s. With "RAM": RAM's runs with the same model, at the
    protocol's rate, or else at the rate of theirs that comes to the least cross-entropy.

    - `as_good`, `as_good_accuracy`: until the run is as good as RAM ever gets: cross-entropy within
      the task's tolerance of the mean of RAM's least (`level`), accuracy likewise of the mean of
      its highest (`level_accuracy`); None where RAM was not run or never learned.
    - `time_to_target`: at the protocol's `target_accuracy`.
    - `convergence`: by the task's own criterion of the two that follow.
    - `convergence_cross_entropy` (figure 5), `convergence_accuracy` (Table 1, CUB).
    - `test_accuracy`: of single rollouts; `test_accuracy_averaged`: of M rollouts' mean;
      `test_balanced_accuracy`: None where a run did not record it.
    - `best_accuracy`: highest validation accuracy of the curve.
    - `area_under_curve`: mean validation accuracy over the run.
    - `speed_ups`: how many times sooner than RAM, paired by seed, by the names of those times;
      `with_pretraining`: the same with the pre-training's iterations on both sides, {} without.
    - `ratio_of_means`: likewise of mean times, as the paper's "factor of 6.8", of these runs alone;
      its `paper` is of the task's own criterion as the paper has it, wherever the least lies.
    - `same_rate`: `speed_ups` over RAM at the entry's own rate, where that is another; {} if RAM
      was not run at it.
    - `test_gain`: test accuracy over RAM's, paired by seed.
    - `area_gain`: the area between the run's curve and RAM's, paired by seed: mean validation
      accuracy over the run less RAM's; None where these ran for another length.
    - `anytime`: test accuracy after each glimpse t = 1 .. T, of single rollouts; None where a run
      did not record it.
    - `rank`: the best and the worst that it can have by time to target among all entries of the
      task and protocol; None where these ran for different lengths.
    - `remarks`: what of the runs is of older rules.
    - `judged_by`: what `target_accuracy` is about, as the task has it.
    """

    task: str
    protocol: str
    method: str
    model: str
    learning_rate: float
    seeds: tuple[int, ...]
    iterations: int
    pretraining_iterations: int
    target_accuracy: float
    build_seconds: float | None
    level: float | None
    level_accuracy: float | None
    reference_rate: float | None
    as_good: SpanEstimate | None
    as_good_accuracy: SpanEstimate | None
    time_to_target: SpanEstimate
    convergence: SpanEstimate
    convergence_cross_entropy: SpanEstimate
    convergence_accuracy: SpanEstimate
    best_accuracy: Estimate
    test_accuracy: Estimate
    test_accuracy_averaged: Estimate
    test_balanced_accuracy: Estimate | None
    test_cross_entropy: Estimate
    area_under_curve: Estimate
    speed_ups: dict[str, SpanEstimate]
    with_pretraining: dict[str, SpanEstimate]
    ratio_of_means: dict[str, Span]
    same_rate: dict[str, SpanEstimate]
    test_gain: Estimate | None
    area_gain: Estimate | None = None
    anytime: tuple[Estimate, ...] | None = None
    rank: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()
    judged_by: str = "accuracy"

    @property
    def headline(self) -> SpanEstimate | None:
        """How many times sooner than RAM it is as good as RAM ever gets."""
        return self.speed_ups.get("as_good")


@dataclass(frozen=True)
class Scores:
    """Rows ordered by task, protocol and model; RAM first, then methods by name and rate."""

    rows: tuple[ScoreRow, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain JSON values; an end that nothing bounds is null."""
        return [plain(asdict(row)) for row in self.rows]

    def _repr_html_(self) -> str:
        return html_rows(
            "Scores: medians over seeds of iterations, mean test accuracy with its 95 % interval",
            ("task", "method", "seeds", "as good as RAM ever gets", "to the target", "test, %"),
            [
                (
                    f"{row.task}, {row.protocol}",
                    row.method,
                    len(row.seeds),
                    _iterations(row.as_good),
                    f"{100 * row.target_accuracy:.4g} %: {_iterations(row.time_to_target)}",
                    _share(row.test_accuracy),
                )
                for row in self.rows
            ],
        )

    def profiles(self) -> dict[tuple[str, str], Profile]:
        """(method, model) to its performance profile; the workloads are tasks and protocols.

        The time of a workload is the median over seeds of the validation that saw the target
        passed, infinite where most seeds never did; of several rates, that of the least.
        """
        times: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
        for row in self.rows:
            workload = row.task, row.protocol
            own = times.setdefault((row.method, row.model), {})
            seen = statistics.median(value.high for value in row.time_to_target.values)
            own[workload] = min(own.get(workload, math.inf), seen)
        return performance_profiles(times)


def _iterations(found: SpanEstimate | None) -> str:
    if found is None or not found.middle.known:
        return "not known"
    low, high = found.middle.low, found.middle.high
    if not found.middle.reached:
        return f"> {low:,.0f}"
    return f"{high:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _share(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.mean:.1f}"
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def score(results: str | Path, task: str | Task | None = None) -> Scores:
    """Scores of all results in the folder `results`.

    `task` registers a task of the user's own (`FILE.py:NAME`) first. Raises `NogsError` if a file
    is bad, a task unknown or of another version, or two results of a group were made differently.
    """
    if task is not None:
        get_task(task)
    return score_runs(load_results(Path(results)))


def score_runs(runs: Sequence[RunResult]) -> Scores:
    """Scores of loaded results. Raises `NogsError` as `score`."""
    for name in dict.fromkeys(run.task for run in runs):
        if name not in TASKS.names():
            raise NogsError(
                f"there are results of the task {name}, which is not registered; name it: --task "
                "FILE.py:NAME"
            )

    def setting(run: RunResult) -> tuple[str, str, str]:
        return run.task, run.protocol, run.model.name

    def entry(run: RunResult) -> tuple[bool, str, float]:
        return run.method != BASELINE, run.method, run.hyperparameters.learning_rate

    rows: list[ScoreRow] = []
    ordered = sorted(runs, key=lambda run: (*setting(run), *entry(run), run.seed))
    for _, members in groupby(ordered, key=setting):
        same_setting = list(members)
        entries = [list(own) for _, own in groupby(same_setting, key=entry)]
        check_alike(same_setting, entries)
        baselines = [own for own in entries if own[0].method == BASELINE]
        rows += [_row(own, baselines) for own in entries]
    return Scores(tuple(_ranked(rows)))


def _row(runs: list[RunResult], baselines: list[list[RunResult]]) -> ScoreRow:
    first = runs[0]
    task = get_task(first.task)
    plan = task.protocol(first.protocol)
    reference = reference_of(task, plan, baselines)
    quantities = _quantities(task, plan.target_accuracy, reference)
    times = {name: _estimated(runs, of) for name, of in quantities.items()}
    costs = [run.build_cost.seconds for run in runs if run.build_cost is not None]
    balanced = [run.test.balanced_accuracy for run in runs]
    return ScoreRow(
        task=first.task,
        protocol=first.protocol,
        method=first.method,
        model=first.model.name,
        learning_rate=first.hyperparameters.learning_rate,
        seeds=tuple(run.seed for run in runs),
        iterations=first.hyperparameters.iterations,
        pretraining_iterations=_pretraining(first),
        target_accuracy=plan.target_accuracy,
        build_seconds=costs[0] if costs else None,
        level=reference.cross_entropy if reference else None,
        level_accuracy=reference.accuracy if reference else None,
        reference_rate=reference.rate if reference else None,
        as_good=times.get("as_good"),
        as_good_accuracy=times.get("as_good_accuracy"),
        time_to_target=times["time_to_target"],
        convergence=times[CRITERIA[task.convergence.criterion]],
        convergence_cross_entropy=times["convergence_cross_entropy"],
        convergence_accuracy=times["convergence_accuracy"],
        best_accuracy=estimate([max(point.accuracy for point in run.curve) for run in runs]),
        area_under_curve=estimate([area_under_curve(run.curve) for run in runs]),
        test_accuracy=estimate([run.test.accuracy for run in runs]),
        test_accuracy_averaged=estimate([run.test.averaged_accuracy for run in runs]),
        test_balanced_accuracy=None if None in balanced else estimate(balanced),  # type: ignore[arg-type]
        test_cross_entropy=estimate([run.test.cross_entropy for run in runs]),
        anytime=_anytime(runs),
        remarks=_remarks(runs),
        judged_by=task.judged_by,
        **_over_baseline(runs, baselines, reference, quantities),
    )


def _anytime(runs: Sequence[RunResult]) -> tuple[Estimate, ...] | None:
    """Test accuracy after each glimpse, over the seeds."""
    each = [run.test.after for run in runs if run.test.after is not None]
    if len(each) < len(runs):
        return None
    return tuple(estimate([step.accuracy for step in steps]) for steps in zip(*each, strict=True))


CRITERIA = {"cross-entropy": "convergence_cross_entropy", "accuracy": "convergence_accuracy"}

# A run to when it did something.
Quantity = Callable[[RunResult], Convergence]


def _quantities(task: Task, target: float, reference: Reference | None) -> dict[str, Quantity]:
    """The times that a row has, by name."""
    criteria, classes = task.convergence, len(task.classes)
    found: dict[str, Quantity] = {
        "time_to_target": lambda run: Convergence(
            _to_target(run.curve, target, task.judged_by, classes), True
        ),
        "convergence_cross_entropy": lambda run: convergence_of_cross_entropy(
            run.curve, criteria.cross_entropy_tolerance, classes
        ),
        "convergence_accuracy": lambda run: convergence_of_accuracy(
            run.curve, criteria.accuracy_tolerance, classes
        ),
    }
    if reference is not None and reference.learned:
        found["as_good"] = lambda run: Convergence(reference.as_good(run.curve), True)
        found["as_good_accuracy"] = lambda run: Convergence(reference.as_accurate(run.curve), True)
    return found


def _to_target(curve: Curve, target: float, judged_by: str, classes: int) -> Span:
    """Nothing is known by a target that a constant answer reaches."""
    constant = 1 / classes if judged_by != "accuracy" else constant_accuracy(curve)
    if constant is not None and constant >= target:
        return Span(0, math.inf)
    return time_to_accuracy(curve, target, judged_by)


def _as_the_paper(run: RunResult) -> Span:
    """The task's own criterion, wherever in the run the least lies."""
    criteria = get_task(run.task).convergence
    if criteria.criterion == "accuracy":
        return settled_accuracy(run.curve, criteria.accuracy_tolerance)
    return settled_cross_entropy(run.curve, criteria.cross_entropy_tolerance)


def _estimated(runs: Sequence[RunResult], of: Quantity) -> SpanEstimate:
    found = [of(run) for run in runs]
    made = estimate_spans(
        [each.time for each in found],
        [run.seed for run in runs],
        sum(not each.learned for each in found),
    )
    assert made is not None
    return made


def _over_baseline(
    runs: list[RunResult],
    baselines: list[list[RunResult]],
    reference: Reference | None,
    quantities: dict[str, Quantity],
) -> dict[str, Any]:
    """What is said in comparison with RAM, over the seeds that both have."""
    rate = runs[0].hyperparameters.learning_rate
    of_rate = [own for own in baselines if own[0].hyperparameters.learning_rate == rate]
    usual = reference.runs if reference else []
    if runs[0].method == BASELINE:
        usual, of_rate = [], []
    elif reference is not None and rate == reference.rate:
        of_rate = []
    counted = quantities | {"paper": lambda run: Convergence(_as_the_paper(run), True)}
    pairs = _pairs(runs, usual)
    gains = [a.test.accuracy - b.test.accuracy for a, b in pairs]
    long = [(a, b) for a, b in pairs if a.curve[-1].iteration == b.curve[-1].iteration]
    areas = [area_under_curve(a.curve) - area_under_curve(b.curve) for a, b in long]
    return {
        "speed_ups": _speed_ups(runs, usual, quantities),
        "with_pretraining": _speed_ups(runs, usual, quantities, _pretraining),
        "same_rate": _speed_ups(runs, of_rate[0] if of_rate else [], quantities),
        "ratio_of_means": {
            name: ratio_of_means(
                [of(ram).time for _, ram in pairs], [of(own).time for own, _ in pairs]
            )
            for name, of in counted.items()
            if pairs
        },
        "test_gain": estimate(gains) if gains else None,
        "area_gain": estimate(areas) if areas else None,
    }


def _pairs(
    runs: Sequence[RunResult], baseline: Sequence[RunResult]
) -> list[tuple[RunResult, RunResult]]:
    other = {run.seed: run for run in baseline}
    return [(run, other[run.seed]) for run in runs if run.seed in other]


def _speed_ups(
    runs: Sequence[RunResult],
    baseline: Sequence[RunResult],
    quantities: dict[str, Quantity],
    before: Callable[[RunResult], int] | None = None,
) -> dict[str, SpanEstimate]:
    """Baseline's time over the runs' own, by quantity; `before` is added to both."""
    pairs = _pairs(runs, baseline)
    if before is not None and not any(before(run) for run in runs):
        return {}
    found = {}
    for name, of in quantities.items():
        own, other = (
            [of(pair[i]).time.plus(before(pair[i]) if before else 0) for pair in pairs]
            for i in (0, 1)
        )
        made = estimate_spans(ratios(other, own), [run.seed for run, _ in pairs])
        if made is not None:
            found[name] = made
    return found


def _pretraining(run: RunResult) -> int:
    """Iterations of the stage before the run."""
    stage = run.hyperparameters.pretraining
    return 0 if stage is None else stage.iterations


def _remarks(runs: Sequence[RunResult]) -> tuple[str, ...]:
    first = runs[0]
    task = get_task(first.task)
    plan = task.protocol(first.protocol)
    said = []
    if first.task_version != task.version:
        said.append(f"version {first.task_version} of the task, which is now at {task.version}")
    if any(run.images is None for run in runs):
        said.append("an older format: images, balanced accuracy and teaching are not recorded")
    if first.hyperparameters.iterations != plan.iterations:
        said.append(
            f"{first.hyperparameters.iterations:,} iterations; the protocol now has "
            f"{plan.iterations:,}"
        )
    constant = constant_accuracy(first.curve)
    if constant is not None and constant >= plan.target_accuracy:
        said.append("a constant answer reaches the target: time to target says nothing")
    return tuple(said)


def _ranked(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows, in their order, each with its rank among those of its task and protocol."""
    ranks: dict[int, tuple[int, int]] = {}
    by_board = defaultdict(list)
    for number, row in enumerate(rows):
        by_board[row.task, row.protocol].append(number)
    for board in by_board.values():
        if len({rows[number].iterations for number in board}) == 1:
            found = rank_ranges([rows[number].time_to_target.values for number in board])
            ranks |= dict(zip(board, found, strict=True))
    return [replace(row, rank=ranks.get(number)) for number, row in enumerate(rows)]
