"""The units of work of an evaluation: pre-training networks, and training runs.

A job is plain data, so that any process can do it: what it needs is read from files, what it makes
is one file for each of its runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nogs_bench.files import Mirror, digest_json
from nogs_bench.results import Hyperparameters, RunConfig


@dataclass(frozen=True)
class Place:
    """Where a job finds things: the model's specification, and paths, as strings.

    - `images`: folder of `nogs_bench.images.store`.
    - `out`: the results folder.
    - `store`: where results and weights are kept too, if anywhere.
    - `log`: the kind of log that each run writes, if any.
    - `weights`: whether each run leaves its network's weights beside its result.
    - `deterministic`: whether deterministic algorithms alone are used.
    """

    model: str
    images: str
    out: str
    device: str
    store: str | None = None
    weights: bool = True
    log: str | None = None
    deterministic: bool = False

    @property
    def mirror(self) -> Mirror:
        return Mirror(Path(self.out), self.store)

    @property
    def checkpoints(self) -> Path:
        return Path(self.out) / ".checkpoints"

    @property
    def pretrained(self) -> Path:
        return Path(self.out) / ".pretrained"

    def pretrained_file(self, key: str) -> Path:
        """The pre-trained weights that `RunPlan.pretrained` names."""
        return self.pretrained / f"{key}.safetensors"


@dataclass(frozen=True)
class RunPlan:
    """A run, and where what is its own is found.

    - `task`: the task's specification; `method`: the method's, as `find_method` takes it.
    - `sequences`: the supervising ones, as `load_annotations` takes them.
    - `maps`: where the EPE maps are, as `first_step_map` takes it; None the shipped ones.
    - `posterior`: the dataset folder whose posterior network the method asks, if it does.
    - `glimpses`: sha256 of the code of the distribution that pre-training draws glimpses from, if
      this is the user's own.
    """

    config: RunConfig
    task: str
    method: str
    sequences: str | None = None
    maps: str | None = None
    posterior: str | None = None
    glimpses: str | None = None

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
        decides = {
            "task": [config.task, config.task_version, config.task_digest],
            "images": config.images,
            "model": config.model.model_dump(),
            "seed": config.seed,
            "settings": settings.model_dump(mode="json", exclude=irrelevant),
        }
        return digest_json(decides | ({"glimpses": self.glimpses} if self.glimpses else {}))


@dataclass(frozen=True)
class Stage:
    """A part of runs' training that is done, and checkpointed, by itself.

    - `steps`: how many training iterations it has.
    - `key`: what its checkpoint calls a run; None of a run that has no such stage.
    - `folder`, `end`: where its checkpoints are, and how their names end.
    """

    name: str
    steps: Callable[[Hyperparameters], int]
    key: Callable[[RunPlan], str | None]
    folder: Callable[[Place], Path]
    end: str


PRETRAINING = Stage(
    "pretraining",
    lambda settings: settings.pretraining.iterations if settings.pretraining else 0,
    lambda run: run.pretrained,
    lambda place: place.pretrained,
    ".unfinished.safetensors",
)
RUN = Stage(
    "run",
    lambda settings: settings.iterations,
    lambda run: run.key,
    lambda place: place.checkpoints,
    ".safetensors",
)
# In the order in which they are done.
STAGES = {stage.name: stage for stage in (PRETRAINING, RUN)}


@dataclass(frozen=True)
class Job:
    """One stage of `runs`, which are trained together.

    - `earlier`: a checkpoint of other runs too, to go on from where the job has none of its own.
    - `stacked`: whether the runs' models are stacked; there may be several only then.
    """

    stage: Stage
    runs: tuple[RunPlan, ...]
    place: Place
    earlier: str | None = None
    stacked: bool = True

    def as_json(self) -> dict[str, Any]:
        runs = [asdict(run) | {"config": run.config.model_dump(mode="json")} for run in self.runs]
        return {
            "stage": self.stage.name,
            "runs": runs,
            "place": asdict(self.place),
            "earlier": self.earlier,
            "stacked": self.stacked,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        runs = [
            RunPlan(**run | {"config": RunConfig.model_validate_json(json.dumps(run["config"]))})
            for run in value["runs"]
        ]
        place = Place(**value["place"])
        stage = STAGES[value["stage"]]
        return cls(stage, tuple(runs), place, value["earlier"], value["stacked"])

    @property
    def label(self) -> str:
        """As progress bars and errors call it."""
        parts = [
            _some([run.config.task for run in self.runs], "tasks"),
            "pre-training"
            if self.stage is PRETRAINING
            else _some([run.config.method for run in self.runs], "methods"),
            _span(sorted({run.config.seed for run in self.runs})),
        ]
        return " ".join(parts)

    @property
    def steps(self) -> int:
        """Training iterations of the stage."""
        return self.stage.steps(self.runs[0].config.hyperparameters)

    @property
    def keys(self) -> list[str]:
        """What the stage's checkpoint calls the runs."""
        return [key for run in self.runs if (key := self.stage.key(run))]

    @property
    def checkpoint(self) -> Path:
        """Of the stage; of other runs or settings, another file."""
        name = self.keys[0] if len(self.keys) == 1 else f"together-{digest_json(self.keys)[:32]}"
        if len(self.runs) == 1 and self.stage is RUN:
            config = self.runs[0].config
            name = f"{config.name}-{config.config_digest[:16]}"
        return self.stage.folder(self.place) / f"{name}{self.stage.end}"


def _some(names: list[str], kind: str) -> str:
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct) if len(distinct) <= 3 else f"{len(distinct)} {kind}"


def _span(seeds: list[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return f"{len(seeds)} seeds"
