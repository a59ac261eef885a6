"""`RUN.safetensors`: the weights that a run leaves beside its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json, load_checkpoint, save_checkpoint
from nogs_bench.results import RunConfig, first_fault
from nogs_bench.tasks import Task

FORMAT = 1
SUFFIX = ".safetensors"
CHOICES = ("last", "best")

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Kept:
    """A run's network on disk.

    - `config`: everything that decided the run: task, method, model's source digest, settings.
    - `shape`: what the network was made for (`task_shape`).
    - `last`: the weights after the last iteration, whose test figures the result holds; `best`:
      those of the least validation cross-entropy. Name to tensor, on the CPU.
    """

    config: RunConfig
    shape: dict[str, Any]
    last: Weights
    best: Weights


def task_shape(task: Task) -> dict[str, Any]:
    """What of a task a network depends on, as plain JSON values; the run's settings come apart."""
    return {
        "channels": task.channels,
        "grid": {name: _plain(value) for name, value in asdict(task.grid).items()},
        "T": task.T,
        "classes": list(task.classes),
    }


def weights_path(result: Path) -> Path:
    """Where the weights of the run with that result file are."""
    return result.with_suffix(SUFFIX)


def save_weights(path: Path, kept: Kept) -> Path:
    """Write a run's weights, whole or not at all. Returns `path`."""
    state = {
        "format": FORMAT,
        "config": kept.config.model_dump(mode="json"),
        "shape": kept.shape,
        "shape_digest": digest_json(kept.shape),
        "last": dict(kept.last),
        "best": dict(kept.best),
    }
    save_checkpoint(path, state)
    return path


def read_weights(path: Path) -> Kept:
    """What `save_weights` wrote. Nothing in the file is run.

    Raises `NogsError` if the file is missing, damaged, of another format, or something else.
    """
    state = load_checkpoint(path)
    if state.get("format") != FORMAT:
        raise NogsError(f"{path} does not hold a run's weights in format {FORMAT}; train it again")
    try:
        config = RunConfig.model_validate_json(json.dumps(state["config"]))
        shape, last, best = state["shape"], state["last"], state["best"]
    except ValidationError as error:
        raise NogsError(f"{path} holds no run: {first_fault(error)}") from error
    except KeyError as error:
        raise NogsError(f"{path} holds no run's weights: {error} is missing") from error
    if not isinstance(shape, dict) or digest_json(shape) != state.get("shape_digest"):
        raise NogsError(f"{path} is damaged: what it says of its task is not what was written")
    for name, weights in (("last", last), ("best", best)):
        if not isinstance(weights, dict) or not all(
            isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
        ):
            raise NogsError(f"{path} holds no weights called {name}; train the run again")
    return Kept(config, shape, last, best)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
