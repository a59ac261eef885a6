"""Rounds of a baseline and this package in turn, and their medians and ratios; of `training.py`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.methods import METHODS
from nogs_bench.network import HardAttentionNet, ImageTensors
from nogs_bench.tasks import Task
from nogs_bench.training import Run, Trainee, train_together


def product(
    task: Task,
    images: ImageTensors,
    make: Callable[[Task], Any] = HardAttentionNet,
    runs: int = 1,
    stacked: bool = True,
    frozen: bool = False,
) -> Callable[[int], None]:
    """Trains so many iterations of `runs` runs of RAM, without validation to speak of."""
    few = ImageTensors(images.images[:64], images.labels[:64])
    task = replace(task, training=replace(task.training, evaluation_period=10**9))

    def go(iterations: int) -> None:
        trainees = [
            Trainee(Run(task, METHODS["ram"], iterations, seed, frozen), make(task), images, few)
            for seed in range(runs)
        ]
        train_together(trainees, stacked=stacked)

    return go


def per_iteration(go: Callable[[int], None], iterations: int, clock: Callable[[], float]) -> float:
    """Milliseconds of an iteration: a long call less a short one."""
    times = []
    for count in (2, 2 + iterations):
        began = clock()
        go(count)
        times.append(clock() - began)
    return 1000 * (times[1] - times[0]) / iterations


def compare(
    ways: dict[str, Callable[[int], None]], iterations: dict[str, int], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of an iteration of each way in each round, after a first that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, go in ways.items():
            value = per_iteration(go, iterations[name], time.process_time)
            if number:
                found[name].append(value)
    return found


def medians(
    found: dict[str, list[float]], names: dict[str, str], factor: float = 1
) -> dict[str, float]:
    """`factor` times the median of each way, under the name it is reported by."""
    return {name: factor * statistics.median(found[way]) for name, way in names.items()}


def ratio(
    found: dict[str, list[float]], name: str, slow: str, quick: str, factor: float = 1
) -> dict[str, Any]:
    """How many times quicker `quick` is than `factor` of `slow`: the rounds' median and range."""
    each = [factor * a / b for a, b in zip(found[slow], found[quick], strict=True)]
    return {name: statistics.median(each), f"{name}_range": [min(each), max(each)]}


def repeated(step: Callable[[Tensor], None], images: int, batch: int) -> Callable[[int], None]:
    """Calls a baseline's step on so many random batches."""
    rng = np.random.default_rng(0)

    def go(iterations: int) -> None:
        for _ in range(iterations):
            step(torch.from_numpy(rng.integers(0, images, batch)))

    return go


def show(found: dict[str, Any], inside: str = "") -> None:
    """Print figures, one a line."""
    for name, value in found.items():
        if isinstance(value, dict):
            show(value, f"{inside}{name}.")
        elif isinstance(value, float):
            least, most = found.get(f"{name}_range", (None, None))
            span = "" if least is None else f"  [{least:.2f}, {most:.2f}]"
            print(f"{inside}{name:32} {value:10.2f}{span}", flush=True)
