"""Doing jobs: pre-training networks, and training, testing and recording runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nogs_bench.device import determined
from nogs_bench.evaluation.configs import drawn_by
from nogs_bench.evaluation.jobs import PRETRAINING, RUN, Job, Place, RunPlan
from nogs_bench.evaluation.lessons import check_same, forget_lessons, lessons_of
from nogs_bench.evaluation.logs import logging
from nogs_bench.images import EVERY_SPLIT, LabelledImages, file_state, open_split
from nogs_bench.methods import Method, find_method, method_source
from nogs_bench.network import (
    FrozenNetwork,
    ImageTensors,
    feature_table,
    fovea_of,
    frozen_network,
    is_frozen,
    load_model,
)
from nogs_bench.randomness import derive
from nogs_bench.results import (
    FORMAT_VERSION,
    RunResult,
    environment,
    save_result,
    step_locations,
)
from nogs_bench.sequences import load_annotations
from nogs_bench.tasks import TASKS, GlimpseGrid, Pretraining, Task, get_task
from nogs_bench.trained import Kept, code_digest, save_weights, task_shape, weights_path
from nogs_bench.training import (
    GLIMPSES,
    Pretrainee,
    Report,
    Run,
    Trainee,
    first_step_map,
    load_pretrained,
    map_digest,
    measure,
    network_of,
    policy_classifier,
    pretrain,
    train_together,
)

CHANGED = "was changed"


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Let go, after the block, of what jobs of this process share: images, features, lessons."""
    try:
        yield
    finally:
        _rows.cache_clear()
        _features.cache_clear()
        _code_digest.cache_clear()
        forget_lessons()


def do(job: Job, report: Report) -> None:
    """Do a job's stage."""
    with determined(job.place.deterministic):
        DOING[job.stage.name](job, report)


def do_pretraining(job: Job, report: Report) -> None:
    """Make the pre-trained weights of `job.runs`."""
    trainees = []
    for run in job.runs:
        info = run.config.hyperparameters.pretraining
        assert info is not None
        plan = Pretraining(info.iterations, info.learning_rate, info.evaluation_period)
        assert run.pretrained is not None
        task, model, _ = _prepare(job.place, run)
        _method(run)  # its file may define the glimpses
        glimpses = GLIMPSES[info.glimpses]
        epe = first_step_map(task, run.maps) if glimpses.of_map else None
        if epe is not None:
            check_same(run.maps or task.name, map_digest(epe), info.map_digest)
        trainees.append(
            Pretrainee(
                task,
                glimpses.probabilities(task, epe),
                run.config.seed,
                model,
                _images(job.place, "train", task, model),
                _images(job.place, "validation", task, model),
                job.place.pretrained_file(run.pretrained),
                run.pretrained,
            )
        )
    earlier = Path(job.earlier) if job.earlier else None
    pretrain(trainees, plan, job.checkpoint, report, earlier, job.stacked)
    job.place.mirror.push(*(trainee.path for trainee in trainees))


def do_run(job: Job, report: Report) -> None:
    """Make the results of `job.runs`, then remove their checkpoint."""
    place, trainees = job.place, []
    for run in job.runs:
        config = run.config
        task, model, device = _prepare(place, run)
        if run.pretrained is not None:
            load_pretrained(model, place.pretrained_file(run.pretrained))
        annotations = None
        if config.dataset is not None:
            rows = load_annotations(task, run.sequences)
            annotations = rows.first(config.dataset.supervised)
        trainees.append(
            Trainee(
                Run(
                    task=task,
                    method=_method(run),
                    iterations=config.hyperparameters.iterations,
                    seed=config.seed,
                    frozen=run.pretrained is not None,
                    key=run.key,
                ),
                model,
                _images(place, "train", task, model),
                _images(place, "validation", task, model),
                annotations,
                lessons=lessons_of(run, task, annotations, place.device),
            )
        )
    # Opened now: what is open stays what it is, whatever becomes of the files meanwhile.
    tests = [_images(place, "test", trainee.run.task, trainee.model) for trainee in trainees]
    earlier = Path(job.earlier) if job.earlier else None
    configs = [run.config for run in job.runs]
    with logging(place.log, configs, Path(place.out)) as watch:
        curves, seconds = train_together(
            trainees, job.checkpoint, report, earlier, job.stacked, place.weights, watch
        )
    report(job.steps, "testing")
    network, held = network_of([t.model for t in trainees], device, job.stacked)
    labels = torch.stack([test.labels for test in tests])
    looks = labels.new_zeros(len(trainees), task.T, task.grid.cells)
    counts = looks if network is not held else looks[0]
    classify = policy_classifier(network, fovea_of(task, tests[0]), counts, every=True)
    found = measure(network, classify, labels, task.T, task.training.rollouts)
    for run, trainee, curve, metrics, look in zip(
        job.runs, trainees, curves, found, looks, strict=True
    ):
        if place.weights:
            place.mirror.push(_keep(run, trainee, Path(place.out)))
        result = RunResult(
            **dict(run.config),
            format_version=FORMAT_VERSION,
            curve=curve,
            test=metrics,
            wall_time_s=round(seconds, 3),
            environment=environment(device),
            locations=step_locations(look.tolist()),
        )
        place.mirror.push(save_result(result, Path(place.out)))
    job.checkpoint.unlink(missing_ok=True)
    accuracy = sum(metrics.accuracy for metrics in found) / len(found)
    report(job.steps, f"test accuracy {accuracy:.3f}")


def _keep(run: RunPlan, trainee: Trainee, out: Path) -> Path:
    """Write the run's weights beside its result, which comes after them."""
    last = trainee.model.state_dict()
    kept = Kept(run.config, task_shape(trainee.run.task), last, trainee.best)
    return save_weights(weights_path(out / f"{run.config.name}.json"), kept)


DOING: dict[str, Callable[[Job, Report], None]] = {
    PRETRAINING.name: do_pretraining,
    RUN.name: do_run,
}


def _prepare(place: Place, run: RunPlan) -> tuple[Task, Any, torch.device]:
    """The task with the run's settings, a model with the seed's initial weights, the device.

    Raises `NogsError` if a file says something else of them than when the run was planned.
    """
    task = _task(run.task, run.config.task)
    check_same(run.task, task.digest, run.config.task_digest, CHANGED)
    settings = run.config.hyperparameters.model_dump(exclude={"iterations", "pretraining"})
    task = replace(task, training=replace(task.training, **settings))
    device = torch.device(place.device)
    source = load_model(place.model)
    embedder = task.training.embedder
    digest = _code_digest(source.digest, place.model, task.name, embedder, _state(embedder))
    what = place.model if ":" in place.model else f"embedder {embedder}"
    check_same(what, digest, run.config.model.source_digest, CHANGED)
    model = source.build(task, derive(run.config.seed, "model"))
    return task, model, device


@cache
def _code_digest(source: str, model: str, task: str, embedder: str, state: object) -> str:
    """`code_digest` of a model whose own digest is `source`, and of an embedder whose files are in
    `state`; embedders may be slow to make."""
    known = TASKS[task]
    known = replace(known, training=replace(known.training, embedder=embedder))
    return code_digest(load_model(model), known)


def _state(embedder: str) -> tuple[object, ...]:
    """What changes when a file does that the embedder's name holds, as `timm:NAME@FILE`."""
    ends = [place for place, sign in enumerate(embedder, 1) if sign in ":@"]
    named = [Path(embedder[end:]) for end in ends if embedder[end:]]
    inside = [file for path in named if path.is_dir() for file in sorted(path.iterdir())]
    files = [path for path in named + inside if path.is_file()]
    return tuple((path.name, *file_state(path)) for path in files)


def _method(run: RunPlan) -> Method:
    """The run's method. Raises `NogsError` if its code is not what it was when it was planned."""
    method = find_method(run.method)
    info, used = run.config.method_info, drawn_by(run.config.hyperparameters.pretraining)
    digest = None if info is None else info.source_digest
    check_same(run.method, method_source(run.method, *used), digest, CHANGED)
    return method


def prepare(place: Place, run: RunPlan) -> None:
    """Have what a frozen embedder makes of the images ready before many processes want it."""
    if is_frozen(run.config.hyperparameters.embedder):
        task, model, _ = _prepare(place, run)
        for split in EVERY_SPLIT:
            _images(place, split, task, model)


def _images(place: Place, split: str, task: Task, model: Any) -> ImageTensors:
    device = torch.device(place.device)
    rows, pixels = _rows(place.images, split, str(device))
    frozen = frozen_network(model)
    features = None
    if frozen is not None:
        features = _features(place.images, split, str(device), frozen, task.grid)
    return ImageTensors.of(rows, task, device, pixels, features)


@cache
def _rows(folder: str, split: str, device: str) -> tuple[LabelledImages, torch.Tensor]:
    """A split, and its images on the device; a process's jobs share them."""
    rows = open_split(Path(folder), split)
    return rows, torch.from_numpy(rows.images).to(device)


@cache
def _features(
    folder: str, split: str, device: str, network: FrozenNetwork, grid: GlimpseGrid
) -> torch.Tensor:
    """Features of a split's glimpses on the device; a process's jobs share them."""
    where = torch.device(device)
    table = feature_table(network, grid, _rows(folder, split, device)[0], where)
    return torch.from_numpy(table).to(where)


def _task(spec: str, name: str) -> Task:
    """The task `name`, which `spec` defines if this process does not know it yet."""
    return TASKS[name] if name in TASKS.names() else get_task(spec)
