"""Which results may be taken together: the seeds of an entry, and the entries of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.results.configuration import UNRECORDED
from nogs_bench.results.result import RunResult
from nogs_bench.tasks import TASKS

# What all entries of a board (a task and protocol) share, which are ranked together.
OF_A_BOARD = ("task_version", "task_digest", "images")
# What those of one model share beside that, so that iterations are worth the same.
OF_A_MODEL = (
    "model",
    "hyperparameters.iterations",
    "hyperparameters.evaluation_period",
    "hyperparameters.batch_size",
    "hyperparameters.rollouts",
    "hyperparameters.pretraining.iterations",
)
# What the entries of a board share beside that if they are ranked: else their iterations are not
# worth the same. Models may differ in it where a user chose it.
OF_A_RANK = (
    "hyperparameters.iterations",
    "hyperparameters.evaluation_period",
    "hyperparameters.batch_size",
    "hyperparameters.pretraining.iterations",
)
# What the seeds of an entry share beside that.
OF_AN_ENTRY = ("hyperparameters", "dataset", "teaching", "method_info")


def check_board(runs: Sequence[RunResult]) -> None:
    """Raise `NogsError` if `runs`, of one task and protocol, are of different images or versions of
    the task, of a version that this package does not know, or of another task of that name."""
    digests = {name: TASKS[name].digest for name in {run.task for run in runs}}
    for run in runs:
        task = TASKS[run.task]
        if run.task_version > task.version:
            raise NogsError(
                f"{run.name} is of version {run.task_version} of the task, this package has "
                f"{task.version}; score it with the package it was made with"
            )
        same_version = run.task_version == task.version
        if same_version and run.task_digest not in (None, digests[run.task]):
            raise NogsError(
                f"{run.name} was made with another label, number of glimpses or grid than "
                f"{task.name} has now; score it with the task that it was made with"
            )
    _same(runs, OF_A_BOARD)


def check_alike(runs: Sequence[RunResult], entries: Sequence[Sequence[RunResult]]) -> None:
    """Raise `NogsError` if `runs` cannot be compared, or those of one of the `entries` merged.

    Both are of one task, protocol and model; names the runs, the field, and both values.
    """
    _same(runs, OF_A_MODEL)
    for own in entries:
        _same(own, OF_AN_ENTRY)
        _same_steps(own)
        seeds = [run.seed for run in own]
        twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
        if twice is not None:
            raise NogsError(f"{own[0].name}: seed {twice} is there twice; keep one of them")


def _same_steps(runs: Sequence[RunResult]) -> None:
    """Raise `NogsError` if test accuracies after each glimpse are of other numbers of glimpses."""
    known = [run for run in runs if run.test.after is not None]
    for run in known[1:]:
        own, first = len(run.test.after or ()), len(known[0].test.after or ())
        if own != first:
            raise NogsError(
                f"{run.name} has test.after of {own} glimpses, {known[0].name} of {first}; both "
                "are of one entry, so one of the files was changed"
            )


def may_rank(runs: Sequence[RunResult]) -> bool:
    """Whether iterations of `runs`, of one task and protocol, are worth the same."""
    return len({tuple(_value(run, field) for field in OF_A_RANK) for run in runs}) == 1


def _same(runs: Sequence[RunResult], fields: Sequence[str]) -> None:
    for field in fields:
        first = None
        for run in runs:
            value = _value(run, field)
            if value is None and field in UNRECORDED:
                continue
            if first is None:
                first = run
            elif value != _value(first, field):
                where, own, other = differing(field, value, _value(first, field))
                raise NogsError(
                    f"{run.name} has {where} {own}, {first.name} {other}; keep results that were "
                    "made alike in one folder, others in another"
                )


def _value(run: RunResult, field: str) -> Any:
    """The field's value; None too where what it is a part of is None."""
    found: Any = run
    for name in field.split("."):
        found = None if found is None else getattr(found, name)
    return found


def differing(path: str, own: Any, other: Any) -> tuple[str, Any, Any]:
    """The first field that differs within two unequal parts: its path and both values."""
    if own is None or other is None or not hasattr(own, "model_fields_set"):
        return path, own, other
    for name in type(own).model_fields:
        if getattr(own, name) != getattr(other, name):
            return differing(f"{path}.{name}", getattr(own, name), getattr(other, name))
    return path, own, other
