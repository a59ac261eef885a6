"""Curves to numbers: everything a score says is recomputed here from the raw results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from nogs_bench.results.alike import check_alike, check_board, may_rank
from nogs_bench.results.curves import area_under_curve
from nogs_bench.results.entries import load_results
from nogs_bench.results.ranking import rank_ranges
from nogs_bench.results.reference import reference_of
from nogs_bench.results.result import RunResult
from nogs_bench.results.scoring.baseline import BASELINE, over_baseline, pretraining_of
from nogs_bench.results.scoring.criteria import CRITERIA
from nogs_bench.results.scoring.rows import ScoreRow, Scores
from nogs_bench.results.scoring.times import constant_reaches, estimates_of, quantities_of
from nogs_bench.results.statistics import Estimate, estimate
from nogs_bench.tasks import TASKS, Task, get_task, recorded_task


def score(results: str | Path, task: str | Task | None = None) -> Scores:
    """Scores of all results in the folder `results`.

    `task` registers a task of the user's own (`FILE.py:NAME`) first. Raises `NogsError` if a file
    is bad, a task unknown or of a newer version, or two results of a group were made differently.
    """
    if task is not None:
        get_task(task)
    return score_runs(load_results(Path(results)))


def score_runs(runs: Sequence[RunResult]) -> Scores:
    """Scores of loaded results. Raises `NogsError` as `score`."""
    rows: list[ScoreRow] = []
    boards: dict[tuple[str, str], list[RunResult]] = defaultdict(list)
    for run in runs:
        boards[run.task, run.protocol].append(run)
    for entries in entries_of(runs):
        baselines = [own for own in entries if own[0].method == BASELINE]
        rows += [_row(own, baselines) for own in entries]
    ranked = {board for board, own in boards.items() if may_rank(own)}
    return Scores(tuple(_ranked(rows, ranked)))


def entries_of(runs: Sequence[RunResult]) -> list[list[list[RunResult]]]:
    """For each task, protocol and model its entries, RAM's first; of an entry its runs, by seed.

    Raises `NogsError` as `score`.
    """
    for run in runs:
        recorded_task(run.task, run.name)

    def board(run: RunResult) -> tuple[str, str]:
        return run.task, run.protocol

    def setting(run: RunResult) -> tuple[str, str, str]:
        return run.task, run.protocol, run.model.name

    def entry(run: RunResult) -> tuple[bool, str, float]:
        return run.method != BASELINE, run.method, run.hyperparameters.learning_rate

    found = []
    ordered = sorted(runs, key=lambda run: (*setting(run), *entry(run), run.seed))
    for _, members in groupby(ordered, key=board):
        check_board(list(members))
    for _, members in groupby(ordered, key=setting):
        same_setting = list(members)
        entries = [list(own) for _, own in groupby(same_setting, key=entry)]
        check_alike(same_setting, entries)
        found.append(entries)
    return found


def _row(runs: list[RunResult], baselines: list[list[RunResult]]) -> ScoreRow:
    first = runs[0]
    task = TASKS[first.task]
    plan = task.protocol(first.protocol)
    reference = reference_of(task, plan, baselines)
    quantities = quantities_of(task, plan.target_accuracy, reference)
    times = estimates_of(runs, quantities, reference)
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
        pretraining_iterations=pretraining_of(first),
        target_accuracy=plan.target_accuracy,
        build_seconds=costs[0] if costs else None,
        level=reference.cross_entropy if reference else None,
        level_accuracy=reference.accuracy if reference else None,
        reference_rate=reference.rate if reference else None,
        as_good=times.get("as_good"),
        as_good_accuracy=times.get("as_good_accuracy"),
        time_to_target=times["time_to_target"],
        convergence=times[CRITERIA[task.convergence.criterion].field],
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
        **over_baseline(runs, baselines, reference, quantities),
    )


def _anytime(runs: Sequence[RunResult]) -> tuple[Estimate, ...] | None:
    """Test accuracy after each glimpse, over the seeds."""
    each = [run.test.after for run in runs if run.test.after is not None]
    if len(each) < len(runs):
        return None
    return tuple(estimate([step.accuracy for step in steps]) for steps in zip(*each, strict=True))


def _remarks(runs: Sequence[RunResult]) -> tuple[str, ...]:
    first = runs[0]
    task = TASKS[first.task]
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
    if constant_reaches(first.curve, plan.target_accuracy, task):
        said.append("a constant answer reaches the target: time to target says nothing")
    return tuple(said)


def _ranked(rows: Sequence[ScoreRow], ranked: Collection[tuple[str, str]]) -> list[ScoreRow]:
    """The rows, in their order, each with its rank among those of its task and protocol, if these
    are `ranked`."""
    ranks: dict[int, tuple[int, int]] = {}
    by_board = defaultdict(list)
    for number, row in enumerate(rows):
        by_board[row.task, row.protocol].append(number)
    for name, board in by_board.items():
        if name in ranked:
            found = rank_ranges([rows[number].time_to_target.values for number in board])
            ranks |= dict(zip(board, found, strict=True))
    return [replace(row, rank=ranks.get(number)) for number, row in enumerate(rows)]
