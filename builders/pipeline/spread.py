"""A build's long stages, done by an executor: alone in its folder, or as one of several parts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from nogs_bench.builders.bank import Roles, assign_roles
from nogs_bench.builders.dataset import sweep_dataset
from nogs_bench.builders.pipeline.folds import Outcome, finish_fold
from nogs_bench.builders.pipeline.generated import generate
from nogs_bench.builders.pipeline.making import fit, prepare
from nogs_bench.builders.pipeline.parts import Part
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.pipeline.stages import Stages
from nogs_bench.builders.search import Shard, annotate_all, shards_of
from nogs_bench.executors import Executor, LocalExecutor
from nogs_bench.files import locked, sweep
from nogs_bench.progress import progress_bars


@contextmanager
def alone(plan: BuildPlan) -> Iterator[None]:
    """Have the build's folder to oneself, without what a killed call left half written.

    Raises `NogsError` if another build is at work there.
    """
    with locked(plan.workspace.folder / "lock", _busy(plan)):
        sweep(plan.workspace.folder.rglob(".*"))
        for task in plan.tasks:
            sweep_dataset(plan.folder(task))
        yield


def annotate_folds(plans: Sequence[BuildPlan], executor: Executor) -> Outcome:
    """All stages of all folds."""
    made = _prepared(plans, executor)
    for stages, roles in made:
        _annotate(stages, roles, executor, Part())
    folds = [finish_fold(stages, roles, _shards(stages, roles)) for stages, roles in made]
    # Nobody else is at work in the folder. Those of a build that was given up go, too.
    for kept in plans[0].workspace.folder.glob("embedded-*"):
        shutil.rmtree(kept, ignore_errors=True)
    return Outcome(folds)


def annotate_part(plans: Sequence[BuildPlan], executor: Executor, part: Part) -> None:
    """A part of all folds' shards, beside other parts. The first of them makes the other stages."""
    folder, busy = plans[0].workspace.folder, _busy(plans[0])
    with locked(folder / "lock", busy, shared=True):
        with locked(folder / "lock-stages", busy, wait=True):
            made = _prepared(plans, executor)
        for stages, roles in made:
            _annotate(stages, roles, executor, part)


def _prepared(plans: Sequence[BuildPlan], executor: Executor) -> list[tuple[Stages, Roles]]:
    """Each fold's stages before the sequences; all share the first one's first step."""
    _fit_ahead(plans, executor)
    made: list[tuple[Stages, Roles]] = []
    for plan in plans:
        roles = _roles(plan, executor)
        made.append((prepare(plan, roles, executor, made[0][0] if made else None), roles))
    return made


def _fit_ahead(plans: Sequence[BuildPlan], executor: Executor) -> None:
    """Fit several folds at once, one a worker: `prepare` then finds everything made."""
    if len(plans) > 1 and executor.workers > 1:
        for plan in plans:
            _roles(plan, executor)  # a generated bank has its own shards
        with progress_bars() as bars:
            bar = bars.add_task("Folds", total=len(plans), note="")
            for _ in executor.run(_fitting, plans):
                bars.advance(bar)


def _fitting() -> Callable[[BuildPlan], None]:
    return _fit_alone


def _fit_alone(plan: BuildPlan) -> None:
    torch.set_num_threads(plan.threads)
    executor = LocalExecutor(1)
    fit(plan, _roles(plan, executor), executor)


def _roles(plan: BuildPlan, executor: Executor) -> Roles:
    make_bank = (lambda training: generate(plan, training, executor)) if plan.bank else None
    return assign_roles(plan.task, plan.count, plan.seed, plan.data, make_bank, plan.fold)


def _annotate(stages: Stages, roles: Roles, executor: Executor, part: Part) -> None:
    shards = part.of(_shards(stages, roles))
    annotate_all(stages.load, shards, executor, stages.plan.device)


def _shards(stages: Stages, roles: Roles) -> list[Shard]:
    plan, folder = stages.plan, stages.files["sequences"]
    return shards_of(len(roles.numbers), folder, len(plan.targets), plan.mirror)


def _busy(plan: BuildPlan) -> str:
    return f"another build is at work in {plan.out}; wait for it, or give another --out"
