"""Train a model on a task by some methods over some seeds, and score the runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nogs_bench.annotations import Annotations, write_annotations
from nogs_bench.configs import difference, model_info, pretraining_stage, run_config
from nogs_bench.device import choose_device
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages, data_folder
from nogs_bench.jobs import Job, Place
from nogs_bench.methods import METHODS, Method
from nogs_bench.pool import Watch, do_all
from nogs_bench.progress import progress_bars
from nogs_bench.result import RunConfig, load_result
from nogs_bench.scoring import Scores, score_runs
from nogs_bench.supervision import Material, make_sequences, supervising
from nogs_bench.task import Task, TrainingProtocol, get_task, override, register_task


def evaluate(
    model: str = "reference",
    task: str | Task = "cluttered-digits",
    sequences: str | Path | None = None,
    methods: str | Sequence[str] = ("ram", "ps-nogs"),
    seeds: int | Sequence[int] = 3,
    protocol: str | None = None,
    iterations: int | None = None,
    out: str | Path = "results",
    data: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    supervised: int | None = None,
    training: Mapping[str, Any] | None = None,
    keypoints: str | Path | None = None,
    maps: str | Path | None = None,
) -> Scores:
    """Train `model` on `task` once for each method and seed, and score these runs.

    Each run leaves one result file in `out`. A run whose result is there with the same
    configuration is not made again; an interrupted call goes on where it stopped when it is
    called again.

    **Arguments**

    - `model`: a registered name, or `FILE.py:NAME` of a class that is called with the task.
    - `task`: a registered name, `FILE.py:NAME`, or a `Task`.
    - `sequences`: dataset folder or Hub id of glimpse sequences; None those that come with the
      package, or else `nogs/TASK`. Read only if a method is supervised.
    - `seeds`: how many (from 0), or which.
    - `protocol`: name of one of the task's; None its first.
    - `iterations`: length of a run; None the protocol's.
    - `data`: folder of the task's images, where they are not found by themselves.
    - `device`: `"auto"`, `"cpu"` or `"cuda"`.
    - `workers`: processes; None one for each CPU core, one on a GPU. One works in this process.
    - `supervised`: how many sequences supervise, lowest image numbers first; None as many as the
      task says, or all there are if they are fewer.
    - `training`: values of fields of `Training` that replace the task's.
    - `keypoints`: file of keypoints for `ps-hgs`, where the task has none of its own or others are
      wanted (`nogs_bench.handcrafted.read_keypoints`).
    - `maps`: dataset folder or Hub id whose EPE maps give equation 17; None that of `sequences`.

    Raises `NogsError` at bad input, before anything is trained.
    """
    registered = register_task(get_task(task))
    place = Place(
        task=task if isinstance(task, str) else registered.name,
        model=model,
        images="",
        sequences=_text(sequences),
        out=str(out),
        device=choose_device(device),
        maps=_text(maps or sequences),
    )
    plan = _length(registered.protocol(protocol), iterations)
    tuned = _tuned(registered, plan, training or {})
    chosen = [_fitting(METHODS[name], tuned, plan) for name in _names(methods)]
    folder = data_folder(data)
    splits = {name: tuned.source.load(name, folder) for name in ("train", "validation", "test")}
    annotations: dict[str, Annotations] = {}
    if any(method.supervised for method in chosen):
        material = Material(
            tuned,
            supervising(tuned, sequences, supervised, splits["train"]),
            splits["train"],
            place.maps,
            folder,
            None if keypoints is None else Path(keypoints),
        )
        annotations = {
            method.name: make_sequences(method.sequences, material)
            for method in chosen
            if method.sequences is not None
        }
    stages = {method.name: pretraining_stage(tuned, plan, method, place.maps) for method in chosen}
    info = model_info(model, tuned)
    configs = [
        run_config(tuned, plan, method, info, seed, stages[method.name], annotations)
        for seed in _seeds(seeds)
        for method in chosen
    ]
    processes = _workers(workers, place.device, task)
    with _output(Path(out), splits, configs, place, annotations) as jobs:
        if jobs:
            with progress_bars() as bars:
                do_all(jobs, processes, _hidden(out), _watch(bars, jobs))
    return score_runs([load_result(Path(out) / f"{config.name}.json") for config in configs])


@contextmanager
def _output(
    out: Path,
    splits: Mapping[str, LabelledImages],
    configs: Sequence[RunConfig],
    place: Place,
    annotations: Mapping[str, Annotations],
) -> Iterator[list[Job]]:
    """The jobs still to do, with images and sequences in place; tidies up if all get done."""
    from nogs_bench.imagestore import shared_images

    todo = [config for config in configs if not _finished(out, config)]
    if not todo:
        yield []
        return
    with shared_images(splits, _hidden(out)) as images:
        place = replace(place, images=str(images))
        files = {
            method: str(write_annotations(images / rows.digest, rows))
            for method, rows in annotations.items()
        }
        runs = [
            Job("run", config, replace(place, sequences=files.get(config.method)))
            for config in todo
        ]
        stages = {run.pretrained: Job("pretraining", run.config, place) for run in runs}
        yield [job for path, job in stages.items() if path and not path.is_file()] + runs
    for log in _hidden(out).glob("*.log"):
        log.unlink()
    if not any(_hidden(out).iterdir()):  # it may hold checkpoints of other runs
        _hidden(out).rmdir()


def _finished(out: Path, config: RunConfig) -> bool:
    """Whether the run's result is there. Raises `NogsError` if it is of other settings."""
    path = out / f"{config.name}.json"
    if not path.exists():
        return False
    result = load_result(path)
    if result.config_digest != config.config_digest:
        where = difference(result.model_dump(), config.model_dump())
        raise NogsError(f"{path} was made with {where}; choose another --out, or delete it")
    return True


def _hidden(out: str | Path) -> Path:
    """Checkpoints, shared images and the workers' logs, while there is work to do."""
    return Path(out) / ".checkpoints"


def _watch(bars: Any, jobs: Sequence[Job]) -> Watch:
    """Shows a bar for each job, whose clock starts when the job does."""
    lines = {
        (job.stage, job.config.name): bars.add_task(
            job.label, total=job.steps, start=False, note="waiting"
        )
        for job in jobs
    }

    def watch(job: Job, done: int, note: str) -> None:
        line = lines[job.stage, job.config.name]
        bars.start_task(line)
        bars.update(line, completed=done, **({"note": note} if note else {}))

    return watch


def _tuned(task: Task, plan: TrainingProtocol, changes: Mapping[str, Any]) -> Task:
    """The task with the hyperparameters of the protocol, and the caller's."""
    try:
        return replace(task, training=replace(plan.training or task.training, **changes))
    except TypeError as error:
        raise NogsError(f"training: {error}") from error


def _length(plan: TrainingProtocol, iterations: int | None) -> TrainingProtocol:
    if iterations is not None and iterations < 1:
        raise NogsError(f"iterations must be at least 1, got {iterations}")
    return override(plan, iterations=iterations)


def _names(methods: str | Sequence[str]) -> list[str]:
    names = methods.split(",") if isinstance(methods, str) else methods
    names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not names:
        raise NogsError(f"no method given; known are {', '.join(METHODS.names())}")
    return names


def _fitting(method: Method, task: Task, plan: TrainingProtocol) -> Method:
    if method.needs_pretraining and plan.pretraining is None:
        raise NogsError(
            f"{method.name} is another method but for its pre-training, and protocol {plan.name} "
            f"of {task.name} has none; give a protocol that pre-trains, or leave {method.name} out"
        )
    return method


def _text(where: str | Path | None) -> str | None:
    return None if where is None else str(where)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    listed = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    if not listed or min(listed) < 0:
        raise NogsError(f"seeds must be a count of at least 1 or numbers from 0 on, got {seeds}")
    return listed


def _workers(workers: int | None, device: str, task: str | Task) -> int:
    if workers is not None and workers < 1:
        raise NogsError(f"workers must be at least 1, got {workers}")
    if isinstance(task, Task):
        # Another process could not find a task that only this one registered.
        return 1
    return workers or (1 if device != "cpu" else len(os.sched_getaffinity(0)))
