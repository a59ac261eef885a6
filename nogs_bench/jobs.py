"""The units of work of an evaluation: pre-training networks, and training runs.

A job is plain data, so that any process can do it: what it needs is read from files, what it makes
is one file for each of its runs.
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
from nogs_bench.fovea import ImageTensors, fovea_of
from nogs_bench.heuristic import first_step_map
from nogs_bench.images import LabelledImages
from nogs_bench.imagestore import mapping_of, open_split
from nogs_bench.methods import METHODS
from nogs_bench.metrics import measure, policy_classifier
from nogs_bench.model import load_model
from nogs_bench.pretrain import GLIMPSES, Pretrainee, load_pretrained, pretrain
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
from nogs_bench.trainer import Report, Run, Trainee, network_of, train_together


@dataclass(frozen=True)
class Place:
    """Where a job finds things: the model's specification, and paths, as strings.

    - `images`: folder of `nogs_bench.imagestore`.
    - `out`: the results folder.
    """

    model: str
    images: str
    out: str
    device: str

    @property
    def checkpoints(self) -> Path:
        return Path(self.out) / ".checkpoints"

    @property
    def pretrained(self) -> Path:
        return Path(self.out) / ".pretrained"


@dataclass(frozen=True)
class RunPlan:
    """A run, and where what is its own is found.

    - `task`: the task's specification.
    - `sequences`: the supervising ones, as `load_annotations` takes them.
    - `maps`: where the EPE maps are, as `first_step_map` takes it; None the shipped ones.
    """

    config: RunConfig
    task: str
    sequences: str | None = None
    maps: str | None = None

    @property
    def key(self) -> str:
        """Names the run and its settings."""
        return f"{self.config.name}-{self.config.config_digest}"

    @property
    def pretrained(self) -> str | None:
        """Names the pre-trained weights that the run starts from, shared by methods of a seed."""
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
        return digest_json(
            {
                "task": [config.task, config.task_version],
                "model": config.model.model_dump(),
                "seed": config.seed,
                "settings": settings.model_dump(mode="json", exclude=irrelevant),
            }
        )


@dataclass(frozen=True)
class Job:
    """One stage (a name in `STAGES`) of `runs`, which are trained together.

    - `earlier`: a checkpoint of other runs too, to go on from where the job has none of its own.
    - `stacked`: whether the runs' models are stacked; there may be several only then.
    """

    stage: str
    runs: tuple[RunPlan, ...]
    place: Place
    earlier: str | None = None
    stacked: bool = True

    def as_json(self) -> dict[str, Any]:
        runs = [asdict(run) | {"config": run.config.model_dump(mode="json")} for run in self.runs]
        return {
            "stage": self.stage,
            "runs": runs,
            "place": asdict(self.place),
            "earlier": self.earlier,
            "stacked": self.stacked,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        runs = [
            RunPlan(**run | {"config": RunConfig.model_validate(run["config"])})
            for run in value["runs"]
        ]
        place = Place(**value["place"])
        return cls(value["stage"], tuple(runs), place, value["earlier"], value["stacked"])

    @property
    def label(self) -> str:
        """As progress bars and errors call it."""
        parts = [
            _some([run.config.task for run in self.runs], "tasks"),
            "pre-training"
            if self.stage == "pretraining"
            else _some([run.config.method for run in self.runs], "methods"),
            _span(sorted({run.config.seed for run in self.runs})),
        ]
        return " ".join(parts)

    @property
    def steps(self) -> int:
        """Training iterations of the stage."""
        settings = self.runs[0].config.hyperparameters
        if self.stage == "run" or settings.pretraining is None:
            return settings.iterations
        return settings.pretraining.iterations

    @property
    def keys(self) -> list[str]:
        """What the stage's checkpoint calls the runs."""
        if self.stage == "run":
            return [run.key for run in self.runs]
        return [run.pretrained for run in self.runs if run.pretrained]

    @property
    def checkpoint(self) -> Path:
        """Of the stage; of other runs or settings, another file."""
        if self.stage == "pretraining":
            folder, end = self.place.pretrained, ".unfinished.safetensors"
        else:
            folder, end = self.place.checkpoints, ".safetensors"
        if len(self.runs) == 1 and self.stage == "run":
            config = self.runs[0].config
            return folder / f"{config.name}-{config.config_digest[:16]}{end}"
        name = self.keys[0] if len(self.keys) == 1 else f"together-{digest_json(self.keys)[:32]}"
        return folder / f"{name}{end}"

    def do(self, report: Report) -> None:
        """Do the stage."""
        STAGES[self.stage](self, report)


def _some(names: list[str], kind: str) -> str:
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct) if len(distinct) <= 3 else f"{len(distinct)} {kind}"


def _span(seeds: list[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return f"{len(seeds)} seeds"


def do_pretraining(job: Job, report: Report) -> None:
    """Make the pre-trained weights of `job.runs`."""
    trainees = []
    for run in job.runs:
        info = run.config.hyperparameters.pretraining
        assert info is not None
        plan = Pretraining(info.iterations, info.learning_rate, info.evaluation_period)
        assert run.pretrained is not None
        task, model, device = _prepare(job.place, run)
        glimpses = GLIMPSES[info.glimpses]
        epe = first_step_map(task, run.maps) if glimpses.of_map else None
        trainees.append(
            Pretrainee(
                task,
                glimpses.probabilities(task, epe),
                run.config.seed,
                model,
                _images(job.place, "train", task, device),
                _images(job.place, "validation", task, device),
                job.place.pretrained / f"{run.pretrained}.safetensors",
                run.pretrained,
            )
        )
    earlier = Path(job.earlier) if job.earlier else None
    pretrain(trainees, plan, job.checkpoint, report, earlier, job.stacked)


def do_run(job: Job, report: Report) -> None:
    """Make the results of `job.runs`, then remove their checkpoint."""
    place, trainees = job.place, []
    for run in job.runs:
        config = run.config
        task, model, device = _prepare(place, run)
        if run.pretrained is not None:
            load_pretrained(model, place.pretrained / f"{run.pretrained}.safetensors")
        annotations = None
        if config.dataset is not None:
            rows = load_annotations(task, run.sequences)
            annotations = rows.first(config.dataset.supervised)
        trainees.append(
            Trainee(
                Run(
                    task=task,
                    method=METHODS[config.method],
                    iterations=config.hyperparameters.iterations,
                    seed=config.seed,
                    frozen=run.pretrained is not None,
                    key=run.key,
                ),
                model,
                _images(place, "train", task, device),
                _images(place, "validation", task, device),
                annotations,
            )
        )
    earlier = Path(job.earlier) if job.earlier else None
    curves, seconds = train_together(trainees, job.checkpoint, report, earlier, job.stacked)
    report(job.steps, "testing")
    tests = [_images(place, "test", trainee.run.task, device) for trainee in trainees]
    network, held = network_of([t.model for t in trainees], device, job.stacked)
    labels = torch.stack([test.labels for test in tests])
    looks = labels.new_zeros(len(trainees), task.T, task.grid.cells)
    counts = looks if network is not held else looks[0]
    classify = policy_classifier(network, fovea_of(task, tests[0]), counts)
    found = measure(network, classify, labels, task.T, task.training.rollouts)
    for run, curve, metrics, look in zip(job.runs, curves, found, looks, strict=True):
        result = RunResult(
            **dict(run.config),
            format_version=FORMAT_VERSION,
            curve=curve,
            test=metrics,
            wall_time_s=round(seconds, 3),
            environment=environment(device),
            locations=step_locations(look.tolist()),
        )
        save_result(result, Path(place.out))
    job.checkpoint.unlink(missing_ok=True)
    accuracy = sum(metrics.accuracy for metrics in found) / len(found)
    report(job.steps, f"test accuracy {accuracy:.3f}")


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


def _prepare(place: Place, run: RunPlan) -> tuple[Task, Any, torch.device]:
    """The task with the run's settings, a model with the seed's initial weights, the device."""
    task = _task(run.task, run.config.task)
    settings = run.config.hyperparameters.model_dump(exclude={"iterations", "pretraining"})
    task = replace(task, training=replace(task.training, **settings))
    device = torch.device(place.device)
    model = load_model(place.model).build(task, derive(run.config.seed, "model"))
    return task, model, device


def _images(place: Place, split: str, task: Task, device: torch.device) -> ImageTensors:
    rows, pixels = _rows(place.images, split, str(device))
    labels = torch.from_numpy(rows.labels[:, task.target].copy()).to(device)
    mapping = mapping_of(rows.images) if device.type == "cpu" else None
    return ImageTensors(pixels, labels, mapping)


@cache
def _rows(folder: str, split: str, device: str) -> tuple[LabelledImages, torch.Tensor]:
    """A split, and its images on the device; a process's jobs share them."""
    rows = open_split(Path(folder), split)
    return rows, torch.from_numpy(rows.images).to(device)


@cache
def _task(spec: str, name: str) -> Task:
    """The task `name`, which `spec` defines if this process does not know it yet."""
    import nogs_bench.tasks  # noqa: F401  (fills the registry)

    return TASKS[name] if name in TASKS.names() else get_task(spec)
