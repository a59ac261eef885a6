"""`--log`: a run's training beside a user's others, in the tool that the user has."""

from __future__ import annotations

import copy
import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from nogs_bench.errors import NogsError
from nogs_bench.files import replacing
from nogs_bench.network import part_of
from nogs_bench.registry import Registry
from nogs_bench.results import LOG_FOLDER, RunConfig
from nogs_bench.trained import TrainedNetwork, cases_of, draw_look, look_at
from nogs_bench.training import Learner, Trainee

PROJECT = "nogs-bench"
PICTURES = 5  # of each run, evenly over its length, the last among them
NEEDED = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}
COLUMNS = ("iteration", "accuracy", "cross_entropy", "learning_rate", "gradient_norm", "seconds")


@dataclass(frozen=True)
class LogPlace:
    """Which run is logged, and below which folder what a tool writes goes."""

    folder: Path
    config: RunConfig

    @property
    def settings(self) -> dict[str, Any]:
        """The run's settings, flat: names to plain values."""
        plain = self.config.model_dump(mode="json")
        settings = plain.pop("hyperparameters")
        return {name: plain[name] for name in ("task", "protocol", "method", "seed")} | settings


class RunLog(Protocol):
    """Where the points of one run go. A run that goes on writes its later points again."""

    def point(self, iteration: int, values: Mapping[str, float]) -> None:
        """`values` by name, as `COLUMNS`: validation accuracy (0..1) and cross-entropy (nats), the
        learning rate, the norm of the last gradient, seconds since the sitting began."""
        ...

    def picture(self, iteration: int, path: Path) -> None:
        """A picture (.png) of the network looking at the first validation image."""
        ...

    def close(self) -> None: ...


LOGS: Registry[Callable[[LogPlace], RunLog]] = Registry("log", group="nogs_bench.logs")


def check_log(kind: str) -> None:
    """Raise `NogsError` unless there is such a kind of log, and what it needs is installed."""
    _ = LOGS[kind]
    if kind in NEEDED:
        require(NEEDED[kind], kind)


def require(module: str, extra: str) -> Any:
    """The module of an extra. Raises `NogsError` with what to install if it is missing."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise NogsError(f"--log {extra} needs the library {extra}: pip install {extra}") from error


@LOGS.register("csv")
class CsvLog:
    """`logs/RUN.csv`, one row a point, and `logs/RUN.ITERATION.png`."""

    def __init__(self, place: LogPlace):
        self.path = place.folder / f"{place.config.name}.csv"
        self.rows: dict[int, dict[str, Any]] = {}
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = {int(row["iteration"]): row for row in csv.DictReader(file)}

    def point(self, iteration: int, values: Mapping[str, float]) -> None:
        self.rows = {at: row for at, row in self.rows.items() if at < iteration}
        self.rows[iteration] = {"iteration": iteration, **values}
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows.values())

    def picture(self, iteration: int, path: Path) -> None:
        path.replace(self.path.with_suffix(f".{iteration}.png"))

    def close(self) -> None: ...


@LOGS.register("tensorboard")
class TensorboardLog:
    """Event files in `logs/tensorboard/RUN`."""

    def __init__(self, place: LogPlace):
        require("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.make = place.folder / "tensorboard" / place.config.name, SummaryWriter
        self.writer: Any = None
        self.settings = place.settings

    def _open(self, iteration: int) -> Any:
        if self.writer is None:
            self.writer = self.make(str(self.folder), purge_step=iteration)
            lines = "\n".join(f"    {name}: {value}" for name, value in self.settings.items())
            self.writer.add_text("settings", lines, iteration)
        return self.writer

    def point(self, iteration: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._open(iteration).add_scalar(name, value, iteration)

    def picture(self, iteration: int, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._open(iteration).add_image("look", pixels, iteration, dataformats="HWC")

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class TrackerLog:
    """A tool with wandb's interface: `init`, `log`, `Image`."""

    def __init__(self, place: LogPlace, module: Any, **options: Any):
        self.module = module
        name = place.config.name
        self.run = module.init(project=PROJECT, name=name, config=place.settings, **options)

    def point(self, iteration: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=iteration)

    def picture(self, iteration: int, path: Path) -> None:
        self.run.log({"look": self.module.Image(str(path))}, step=iteration)

    def close(self) -> None:
        self.run.finish()


@LOGS.register("trackio")
def trackio(place: LogPlace) -> RunLog:
    """Hugging Face's trackio, on this machine (its dashboard: `trackio show`)."""
    return TrackerLog(place, require("trackio", "trackio"), resume="allow")


@LOGS.register("wandb")
def wandb(place: LogPlace) -> RunLog:
    """Weights & Biases; WANDB_MODE=offline keeps it on this machine."""
    name = place.config.config_digest[:16]
    # Runs that are trained together are open at once, and `init` alone gives the first one's again.
    options = {"id": name, "resume": "allow", "reinit": "create_new", "dir": place.folder}
    return TrackerLog(place, require("wandb", "wandb"), **options)


class Logs:
    """The logs of runs that are trained together; called by the trainer after each validation."""

    def __init__(self, kind: str, configs: Sequence[RunConfig], out: Path):
        folder = out / LOG_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.configs = folder, configs
        self.logs = [LOGS[kind](LogPlace(folder, config)) for config in configs]
        self.began = time.monotonic()
        self.going = False

    def __call__(self, iteration: int, learner: Learner) -> None:
        if iteration and not self.going:
            # Where a run goes on: it was logged when it came here, with the gradient of then.
            self.going = True
            return
        self.going = True
        norms = gradient_norms(learner) if iteration else None
        length = learner.run.iterations
        drawn = iteration and (PICTURES * iteration) % length < PICTURES * _period(learner)
        for run, (log, member) in enumerate(zip(self.logs, learner.members, strict=True)):
            last = member.curve[-1]
            values = {
                "accuracy": last.accuracy,
                "cross_entropy": last.cross_entropy,
                "learning_rate": learner.runs[run].task.training.learning_rate,
                "seconds": round(time.monotonic() - self.began, 3),
            }
            if norms is not None:
                values["gradient_norm"] = norms[run]
            log.point(iteration, values)
            if drawn:
                path = self.folder / f".{self.configs[run].name}.png"
                log.picture(iteration, _draw(learner, run, self.configs[run], path))
                path.unlink(missing_ok=True)

    def close(self) -> None:
        for log in self.logs:
            log.close()


@contextmanager
def logging(kind: str | None, configs: Sequence[RunConfig], out: Path) -> Iterator[Logs | None]:
    """The runs' logs in the results folder `out`, closed afterwards; None for no kind."""
    logs = None if kind is None else Logs(kind, configs, out)
    try:
        yield logs
    finally:
        if logs is not None:
            logs.close()


def _period(learner: Learner) -> int:
    return learner.settings.evaluation_period


def gradient_norms(learner: Learner) -> list[float] | None:
    """Each run's norm over all parameters of the last gradient; None before the first."""
    squares = []
    for parameter in learner.parts["model"].parameters():
        if parameter.grad is not None:
            square = parameter.grad.detach().float() ** 2
            runs = len(square) if learner.stacked else 1
            squares.append(square.reshape(runs, -1).sum(1))
    if not squares:
        return None
    return [float(value) for value in torch.stack(squares).sum(0).sqrt()]


def _draw(learner: Learner, run: int, config: RunConfig, path: Path) -> Path:
    """The network as it is now, looking at the first validation image."""
    trainee: Trainee = learner.trainees[run]
    whole = learner.parts["model"].state_dict()
    state = part_of(whole, run) if learner.stacked else whole
    with torch.random.fork_rng(devices=[]):
        model = copy.deepcopy(trainee.model).cpu()
    model.load_state_dict({name: value.cpu() for name, value in state.items()})
    model.requires_grad_(False).eval()
    network = TrainedNetwork(model, trainee.run.task, config, "last", path)
    split = trainee.validation
    images, labels = split.images[:1].cpu().numpy(), split.labels[:1].cpu().numpy()
    looks = look_at(network, images, maps=True)
    (case,) = cases_of(network, images, looks, ["validation 0"], labels)
    return draw_look(case, path)


LOGS.seal()
