"""How fast a build's parts run, as `benchmarks/rates.py` measured them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import parse_json
from nogs_bench.tasks import Task


@dataclass(frozen=True)
class Rates:
    """What one worker does a second; None, or no entry: not measured.

    - `hardware`: what was measured; `device`: "cpu" (one thread) or "gpu".
    - `posteriors`: of prepared completions, by network and image (`image_name`); `training`: images
      that train the AVP, likewise.
    - `embedding`: glimpses of a bank that are embedded (`EmbeddedBank`), and `embedded`: posteriors
      of completions whose glimpses are, likewise.
    - `searches`: share of cells x completions that a search computes.
    - `proposal`: bank images compared by their latents, each move and reversal counted, a glimpse.
    - `exact`: bank images compared by their pixels, likewise.
    - `multiply_adds`: of large float32 matrix products.
    - `generators`: images, by the generator's name.
    - `measured`: what else `benchmarks/gpu.py` found; nothing is reckoned with it.
    """

    hardware: str
    device: str
    posteriors: dict[str, float] = field(default_factory=dict)
    training: dict[str, float] = field(default_factory=dict)
    embedding: dict[str, float] = field(default_factory=dict)
    embedded: dict[str, float] = field(default_factory=dict)
    searches: dict[str, float] = field(default_factory=dict)
    proposal: float | None = None
    exact: float | None = None
    multiply_adds: float | None = None
    generators: dict[str, float] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)


def image_name(name: str, task: Task) -> str:
    """What a network is called in `Rates`: without its weights, with the size of its images."""
    return f"{name.partition('@')[0]} {task.channels}x{task.image_size}"


def read_rates(path: Path | None = None) -> Rates:
    """Those of a file, or those that come with the package. Raises `NogsError` at another file."""
    if path is None:
        ours = files("nogs_bench.builders.estimate").joinpath("rates.json")
        return Rates(**json.loads(ours.read_text()))
    try:
        return Rates(**parse_json(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise NogsError(f"{path} holds no rates ({error}); make it: benchmarks/rates.py") from error
