"""Making the stages before the sequences: what each depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.completion import COMPLETIONS, CompletionKind, Fitting
from nogs_bench.builders.pipeline.chosen import cheaply
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.pipeline.posteriors import POSTERIORS, Context, Step
from nogs_bench.builders.pipeline.stages import Stages
from nogs_bench.builders.pipeline.worth import check_posteriors
from nogs_bench.builders.search import CRITERIA, SEARCHES
from nogs_bench.executors import Executor
from nogs_bench.own_code import joint_digest
from nogs_bench.tasks import Annotation


def unfinished(temporary: Path) -> Path:
    """Where a stage's unfinished work waits: its temporary path differs in every attempt, this
    does not."""
    return temporary.with_name(f".{temporary.name.split('.')[1]}.unfinished")


def annotation_of(settings: Annotation) -> dict[str, Any]:
    """What a search depends on, with the code of what is the user's own."""
    used = SEARCHES[settings.search], CRITERIA[settings.criterion], COMPLETIONS[settings.completion]
    return asdict(settings) | code_of(*used)


def code_of(*objects: Any) -> dict[str, str]:
    """The digest of the user's files in which objects are defined; nothing if they are this
    package's."""
    code = joint_digest("", *objects)
    return {"code": code} if code else {}


def prepare(
    plan: BuildPlan, roles: Roles, executor: Executor, leader: Stages | None = None
) -> Stages:
    """Make every file that the sequences need, or find it made, in the order of the data.

    `leader`: the stages of the build's first fold, whose first step all folds share: before any
    glimpse all images look alike. None: this is the first fold, or the whole.
    """
    stages = fit(plan, roles, executor)
    completed = tuple(name for name in stages.records if name in ("bank", _completion(plan).stage))
    annotation, parents = _annotation(plan), (*completed, "posterior")

    def write_first_step(path: Path) -> None:
        found = stages.annotator().first_step()
        cells = np.array([step.cell for step in found])
        save_file({"cell": cells, "epe": np.stack([step.epe for step in found])}, path)

    if leader is None:
        stages.add("first-step", annotation, parents, write_first_step)
    else:
        stages.share("first-step", leader)
    if stages.keeps_glimpses:
        annotation |= {"embedded": "float16"}
    stages.add("sequences", annotation, (*parents, "first-step"), None)
    return stages


def fit(plan: BuildPlan, roles: Roles, executor: Executor) -> Stages:
    """The bank, the completion and the posterior; a line says what the posterior knows."""
    task = plan.task
    stages = Stages(plan, {}, {})

    def write_bank(path: Path) -> None:
        parts = {"annotated": roles.annotated}
        if not roles.generated:
            parts = {"bank": roles.bank, **parts}
        arrays = {f"{name}_images": part.images for name, part in parts.items()}
        arrays |= {f"{name}_labels": part.labels for name, part in parts.items()}
        arrays["annotated_numbers"] = roles.numbers
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    def write_completion(path: Path) -> None:
        passes = stages.passes(roles.bank.images, executor, unfinished(path))
        completion.make(path, Fitting(task, roles.bank, plan.seed, plan.device, passes))

    def make_step(step: Step) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            files, annotator = stages.files, stages.annotator
            folder = unfinished(path)
            context = Context(
                roles, plan.seed, plan.device, files, annotator, folder, executor, plan.mirror
            )
            step.make(path, context)

        return make

    images = {
        "family": task.family,
        "roles": roles.record,
        "bank": roles.bank.digest(),
        "annotated": roles.annotated.digest(),
        "fold": asdict(plan.fold),
    }
    before: tuple[str, ...] = ()
    if roles.generated:
        before = ("generated-bank",)
        stages.files[before[0]] = roles.generated.folder
        stages.records[before[0]] = roles.generated.record
    stages.add("bank", images, before, write_bank)
    completed: tuple[str, ...] = ("bank",)
    completion = _completion(plan)
    fitted = completion.config(task, plan.device_kind)
    if fitted is not None:
        config = dict(fitted) | code_of(completion)
        stages.add(completion.stage, config, ("bank",), write_completion)
        completed = (*completed, completion.stage)
    kind = POSTERIORS[plan.posterior]
    trained_on = {
        "role": roles.record["avp"],
        "images": roles.avp(0).digest(),
        "validation": roles.avp_validation.digest(),
    }
    for step in kind.steps(task):
        config = {**kind.config(step.task, plan.threads, plan.device_kind), **trained_on}
        config |= code_of(kind)
        made_from = (*completed, *step.parents) if step.annotates else step.parents
        if step.annotates:
            config |= {"annotation": _annotation(plan, cheaply(task.annotation))}
        stages.add(step.name, config, made_from, make_step(step), step.stage)
    check_posteriors(plan, stages.posterior, roles)
    return stages


def _completion(plan: BuildPlan) -> CompletionKind:
    return COMPLETIONS[plan.task.annotation.completion]


def _annotation(plan: BuildPlan, settings: Annotation | None = None) -> dict[str, Any]:
    asked = {"targets": list(plan.targets), "precision": plan.precision, "device": plan.device_kind}
    return annotation_of(settings or plan.task.annotation) | asked
