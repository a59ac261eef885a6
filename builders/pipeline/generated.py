"""The stage before all others, where a build's bank comes from a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from nogs_bench.builders.bank import GeneratedBank, assign_roles, make_bank
from nogs_bench.builders.generators import Generator, Setting, open_generator
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.search import CRITERIA
from nogs_bench.executors import Executor, single_thread
from nogs_bench.files import Provenance
from nogs_bench.images import LabelledImages


def generate(
    plan: BuildPlan, training: Callable[[], LabelledImages], executor: Executor
) -> GeneratedBank:
    """The bank that `plan.bank` names, of the task's `annotation.bank_images`; made, or found made.

    `training` gives the images that a generator may learn from. Raises `NogsError` if the
    generator cannot be opened, or gives no labels and the task's criterion needs them.
    """
    assert plan.bank is not None
    task = plan.task
    generator = _open(plan, training)
    # Said now, and not by the first step, which comes after the AVP's training.
    labels = torch.from_numpy(generator.sample(plan.seed, 0, 1).labels[:, task.target])
    CRITERIA[task.annotation.criterion](torch.zeros(1, 1, len(task.classes)), labels)
    count = task.annotation.bank_images
    config = {
        **generator.config,
        **plan.exactness,
        "images": count,
        "shape": [task.channels, task.image_size, task.image_size],
    }
    provenance = Provenance("generated", config, plan.seed, {})
    folder = plan.workspace.path(provenance, "")
    load = partial(_open_again, plan)
    bank = make_bank(generator, folder, plan.seed, count, executor, load, plan.mirror)
    return GeneratedBank(bank, folder, provenance.record(sha256=bank.digest()))


def _open(plan: BuildPlan, training: Callable[[], LabelledImages]) -> Generator:
    assert plan.bank is not None
    work = plan.workspace
    setting = Setting(
        plan.task,
        plan.data,
        plan.seed,
        plan.device,
        training,
        work.folder,
        work.mirror,
        plan.exactness,
    )
    return open_generator(plan.bank, setting)


def _open_again(plan: BuildPlan) -> Generator:
    """In a worker: what had to be trained has been."""
    single_thread(plan.device)

    def training() -> LabelledImages:
        task = plan.task
        without = replace(task, annotation=replace(task.annotation, bank_images=0))
        return assign_roles(without, plan.count, plan.seed, plan.data, fold=plan.fold).avp(0)

    return _open(plan, training)
