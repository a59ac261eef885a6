"""The units of work of an evaluation: pre-training a network, and training a run.

A job is plain data, so that any process can do it: what it needs is read from files, what it makes
is one file.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nogs_bench.annotations import load_annotations
from nogs_bench.artefact import digest_json, package_version
from nogs_bench.fovea import Fovea, ImageTensors
from nogs_bench.heuristic import first_step_map
from nogs_bench.imagestore import open_split
from nogs_bench.methods import METHODS
from nogs_bench.metrics import measure, policy_classifier
from nogs_bench.model import load_model
from nogs_bench.pretrain import GLIMPSES, load_pretrained, pretrain
from nogs_bench.randomness import derive
from nogs_bench.result import (
    FORMAT_VERSION,
    Environment,
    RunConfig,
    RunResult,
    save_result,
    step_locations,
)
from nogs_bench.task import TASKS, Pretraining, Task, get_task
from nogs_bench.trainer import Report, Run, train


@dataclass(frozen=True)
class Place:
    """Where jobs find things: specifications of task and model, and paths, as strings.

    - `images`: folder of `nogs_bench.imagestore`.
    - `sequences`: the supervising ones, as `load_annotations` takes them.
    - `out`: the results folder.
    - `maps`: where the EPE maps are, as `first_step_map` takes it; None the shipped ones.
    """

    task: str
    model: str
    images: str
    sequences: str | None
    out: str
    device: str
    maps: str | None = None


@dataclass(frozen=True)
class Job:
    """One stage (a name in `STAGES`) of the run that `config` describes."""

    stage: str
    config: RunConfig
    place: Place

    def as_json(self) -> dict[str, Any]:
        config = self.config.model_dump(mode="json")
        return {"stage": self.stage, "config": config, "place": asdict(self.place)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        config = RunConfig.model_validate(value["config"])
        return cls(value["stage"], config, Place(**value["place"]))

    @property
    def label(self) -> str:
        """As progress bars and errors call it."""
        config = self.config
        what = config.method if self.stage == "run" else "pre-training"
        return f"{config.task} {what} seed {config.seed}"

    @property
    def steps(self) -> int:
        """Training iterations of the stage."""
        settings = self.config.hyperparameters
        if self.stage == "run" or settings.pretraining is None:
            return settings.iterations
        return settings.pretraining.iterations

    @property
    def result(self) -> Path:
        return Path(self.place.out) / f"{self.config.name}.json"

    @property
    def checkpoint(self) -> Path:
        """Of the run's own training; of other settings, another file."""
        name = f"{self.config.name}-{self.config.config_digest[:16]}.safetensors"
        return Path(self.place.out) / ".checkpoints" / name

    @property
    def pretrained(self) -> Path | None:
        """The pre-trained weights that the run starts from, shared by the methods of a seed."""
        config, settings = self.config, self.config.hyperparameters
        if settings.pretraining is None:
            return None
        irrelevant = {
            "iterations",
            "learning_rate",
            "supervision_weight",
            "supervision_reduction",
            "supervised_share",
            "location_gradient",
            "evaluation_period",
            "rollouts",
        }
        key = digest_json(
            {
                "task": [config.task, config.task_version],
                "model": config.model.model_dump(),
                "seed": config.seed,
                "settings": settings.model_dump(mode="json", exclude=irrelevant),
            }
        )
        return Path(self.place.out) / ".pretrained" / f"{key}.safetensors"

    def do(self, report: Report) -> None:
        """Do the stage."""
        STAGES[self.stage](self, report)


def do_pretraining(job: Job, report: Report) -> None:
    """Make `job.pretrained`."""
    info, path = job.config.hyperparameters.pretraining, job.pretrained
    assert info is not None
    assert path is not None
    task, model, device = _prepare(job)
    glimpses = GLIMPSES[info.glimpses]
    epe = first_step_map(task, job.place.maps) if glimpses.of_map else None
    pretrain(
        task,
        Pretraining(info.iterations, info.learning_rate, info.evaluation_period),
        glimpses.probabilities(task, epe),
        job.config.seed,
        model,
        _images(job.place, "train", task, device),
        _images(job.place, "validation", task, device),
        path,
        key=path.stem,
        report=report,
    )


def do_run(job: Job, report: Report) -> None:
    """Make `job.result`, then remove the run's checkpoint."""
    config = job.config
    task, model, device = _prepare(job)
    if job.pretrained is not None:
        load_pretrained(model, job.pretrained)
    annotations = None
    if config.dataset is not None:
        annotations = load_annotations(task, job.place.sequences).first(config.dataset.supervised)
    curve, seconds = train(
        Run(
            task=task,
            method=METHODS[config.method],
            iterations=config.hyperparameters.iterations,
            seed=config.seed,
            frozen=job.pretrained is not None,
            key=f"{config.name}-{config.config_digest}",
        ),
        model,
        _images(job.place, "train", task, device),
        _images(job.place, "validation", task, device),
        annotations,
        job.checkpoint,
        report,
    )
    report(job.steps, "testing")
    looks = torch.zeros(task.T, task.grid.cells, dtype=torch.int64, device=device)
    classify = policy_classifier(model, task, Fovea(task.grid, device), looks)
    test = _images(job.place, "test", task, device)
    metrics = measure(model, classify, test, config.hyperparameters.rollouts)
    result = RunResult(
        **dict(config),
        format_version=FORMAT_VERSION,
        curve=curve,
        test=metrics,
        wall_time_s=round(seconds, 3),
        environment=environment(device),
        locations=step_locations(looks.tolist()),
    )
    save_result(result, Path(job.place.out))
    job.checkpoint.unlink(missing_ok=True)
    report(job.steps, f"test accuracy {metrics.accuracy:.3f}")


STAGES: dict[str, Callable[[Job, Report], None]] = {
    "pretraining": do_pretraining,
    "run": do_run,
}


def environment(device: torch.device) -> Environment:
    """Versions and hardware of this process."""
    cuda = device.type == "cuda"
    return Environment(
        package=package_version(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=device.type,
        hardware=torch.cuda.get_device_name(device) if cuda else _processor(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _prepare(job: Job) -> tuple[Task, Any, torch.device]:
    """The task with the run's settings, a model with the seed's initial weights, the device."""
    task = _task(job.place.task, job.config.task)
    settings = job.config.hyperparameters.model_dump(exclude={"iterations", "pretraining"})
    task = replace(task, training=replace(task.training, **settings))
    device = torch.device(job.place.device)
    model = load_model(job.place.model).build(task, derive(job.config.seed, "model"))
    return task, model, device


def _images(place: Place, split: str, task: Task, device: torch.device) -> ImageTensors:
    return _image_tensors(place.images, split, place.task, task.name, str(device))


@cache
def _image_tensors(folder: str, split: str, spec: str, name: str, device: str) -> ImageTensors:
    """A process's jobs share the tensors."""
    rows = open_split(Path(folder), split)
    return ImageTensors.of(rows, _task(spec, name), torch.device(device))


@cache
def _task(spec: str, name: str) -> Task:
    """The task `name`, which `spec` defines if this process does not know it yet."""
    import nogs_bench.tasks  # noqa: F401  (fills the registry)

    return TASKS[name] if name in TASKS.names() else get_task(spec)
