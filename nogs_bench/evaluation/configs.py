"""What decides the outcome of a run, put together before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.methods import Method, recorded_settings
from nogs_bench.network import load_model
from nogs_bench.results import (
    UNRECORDED,
    DatasetInfo,
    Hyperparameters,
    MethodInfo,
    ModelInfo,
    PretrainingInfo,
    RunConfig,
    first_fault,
)
from nogs_bench.sequences import Annotations
from nogs_bench.tasks import Task, TrainingProtocol
from nogs_bench.trained import code_digest
from nogs_bench.training import GLIMPSES, complexity, first_step_map, map_digest


def run_config(
    task: Task,
    plan: TrainingProtocol,
    method: Method,
    model: ModelInfo,
    seed: int,
    stage: PretrainingInfo | None,
    annotations: Mapping[str, Annotations],
    images: str,
    info: MethodInfo | None = None,
) -> RunConfig:
    """The run of `method` with `seed`: `stage` is its pre-training, `annotations` by method, `info`
    what `method_info` says of the method.

    `images`: sha256 of the task's images.

    Raises `NogsError` if a setting is out of its range.
    """
    settings = asdict(task.training)
    del settings["supervised"]
    dataset = None
    with _recordable(f"settings of {task.name}"):
        if method.name in annotations:
            rows = annotations[method.name]
            dataset = DatasetInfo(name=rows.name, digest=rows.digest, supervised=len(rows))
        return RunConfig(
            task=task.name,
            task_version=task.version,
            task_digest=task.digest,
            protocol=plan.name,
            method=method.name,
            method_info=info,
            model=model,
            dataset=dataset,
            seed=seed,
            hyperparameters=Hyperparameters(
                iterations=plan.iterations, pretraining=stage, **settings
            ),
            images=images,
            teaching=method.teaching,
        )


@contextmanager
def _recordable(what: str) -> Iterator[None]:
    """Raise `NogsError`, about `what`, if the block makes what no result can hold."""
    try:
        yield
    except ValidationError as error:
        raise NogsError(f"{what}: {first_fault(error)}") from error


def method_info(
    method: Method, source: str | None, lessons: Mapping[str, str]
) -> MethodInfo | None:
    """What results say of a method beside its name; None where there is nothing.

    `source`: sha256 of the file that defines the method, if it is not a registered one; `lessons`:
    of what it learns of the dataset beside the sequences. Raises `NogsError` if a setting is out of
    its range.
    """
    settings = recorded_settings(method)
    if not (settings or source or lessons):
        return None
    with _recordable(f"method {method.name}"):
        return MethodInfo(settings=settings, source_digest=source, lessons=dict(lessons))


def pretraining_stage(
    task: Task, plan: TrainingProtocol, method: Method, maps: str | None
) -> PretrainingInfo | None:
    """The protocol's first stage as the method wants it; None where it has none.

    `maps` is where `first_step_map` finds the EPE, for glimpses that depend on it.
    """
    if plan.pretraining is None:
        return None
    settings = asdict(plan.pretraining)
    settings["glimpses"] = method.pretraining_glimpses or plan.pretraining.glimpses
    of_map = GLIMPSES[settings["glimpses"]].of_map
    digest = map_digest(first_step_map(task, maps)) if of_map else None
    with _recordable(f"pre-training of {task.name}"):
        return PretrainingInfo(map_digest=digest, **settings)


def drawn_by(stage: PretrainingInfo | None) -> tuple[Callable[..., Any], ...]:
    """What draws the glimpses of a pre-training, if there is one: its code counts too."""
    return () if stage is None else (GLIMPSES[stage.glimpses].probabilities,)


def model_info(spec: str, task: Task) -> ModelInfo:
    """What results say of the model that `spec` names. Raises `NogsError` if it is unfit.

    Its digest is of the task's embedder too, if this is the user's own.
    """
    source = load_model(spec)
    found = complexity(source.build(task, seed=0), task)
    with _recordable(f"model {source.name}"):
        return ModelInfo(name=source.name, source_digest=code_digest(source, task), **found)


def difference(old: dict[str, Any], new: dict[str, Any], path: str = "") -> str:
    """The first field that differs, with both values; fields that `old` does not know do not."""
    for field, value in new.items():
        before = old.get(field)
        if before == value or (field in UNRECORDED and before is None):
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            return difference(before, value, f"{path}{field}.")
        return f"{path}{field} = {before}, not {value}"
    return "other settings"
