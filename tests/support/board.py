"""Made-up results that the leaderboard takes: of a real task's sizes, with curves of an S shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from nogs_bench.methods import METHODS
from nogs_bench.results.configuration import (
    DatasetInfo,
    Hyperparameters,
    ModelInfo,
    PretrainingInfo,
)
from nogs_bench.results.result import (
    BuildCost,
    Environment,
    Point,
    RunResult,
    TestMetrics,
    step_locations,
)
from nogs_bench.results.storage import save_result
from nogs_bench.tasks.task import get_task

SPEED = {"ram": 1.0, "ram+": 1.2, "ps-hgs": 2.0, "ps-nogs": 4.0, "ps-nogs-anneal": 3.5}


def board_run(
    method: str = "ram",
    seed: int = 0,
    task: str = "cluttered-digits",
    protocol: str = "scratch",
    model: str = "reference",
    located: bool = True,
) -> RunResult:
    """A valid run of `method` whose target is reached `SPEED[method]` times sooner than RAM's."""
    about = get_task(task)
    plan = about.protocol(protocol)
    training = plan.training or about.training
    rng = np.random.default_rng([seed, *method.encode(), *model.encode()])
    speed = SPEED.get(method, 1.5) * float(rng.uniform(0.9, 1.1))
    period, last = training.evaluation_period, plan.iterations
    curve = []
    for at in [*range(0, last, period), last]:
        x = 10 * (speed * at / last - 0.6)
        share = plan.target_accuracy * (0.2 + 1.0 / (1 + math.exp(-x))) + rng.normal() * 0.004
        curve.append(_point(at, share, about.splits.validation))
    end = curve[-1].accuracy
    test, rollouts = about.splits.test, training.rollouts
    single, averaged = round(end * test * rollouts), round(min(end + 0.01, 1.0) * test)
    known = METHODS[method] if method in METHODS.names() else None
    supervised = known is None or known.supervised
    counts = rng.multinomial(
        test * rollouts, rng.dirichlet(np.full(about.grid.cells, 0.1), about.T)
    )
    return RunResult(
        task=task,
        task_version=about.version,
        task_digest=about.digest,
        protocol=protocol,
        method=method,
        model=ModelInfo(
            name=model,
            source_digest=f"{len(model):064d}",
            parameters=40_000 + 1000 * len(model),
            multiply_adds=900_000 + 1000 * len(model),
            pixels_seen=about.T * about.glimpse_size**2,
        ),
        dataset=DatasetInfo(name=task, digest="1" * 64, supervised=600) if supervised else None,
        seed=seed,
        hyperparameters=Hyperparameters(
            iterations=last,
            batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            embedder=training.embedder,
            hidden=training.hidden,
            location_hidden=training.location_hidden,
            supervision_weight=training.supervision_weight,
            supervision_reduction="mean",
            supervised_share=training.supervised_share,
            location_gradient=training.location_gradient,
            evaluation_period=period,
            rollouts=rollouts,
            pretraining=None
            if plan.pretraining is None
            else PretrainingInfo(
                iterations=plan.pretraining.iterations,
                learning_rate=plan.pretraining.learning_rate,
                evaluation_period=plan.pretraining.evaluation_period,
                glimpses="uniform",
            ),
        ),
        images="3" * 64,
        teaching=known.teaching if known else ("sequences",) if supervised else (),
        format_version=3,
        curve=tuple(curve),
        test=TestMetrics(
            images=test,
            rollouts=rollouts,
            cross_entropy=1.2 * (1 - end) + 0.3,
            accuracy=single / (test * rollouts),
            averaged_cross_entropy=1.1 * (1 - end) + 0.2,
            averaged_accuracy=averaged / test,
        ),
        wall_time_s=120.5,
        environment=Environment(
            package="0.1.0", python="3.11", torch="2.15", device="cpu", hardware="made up (R) 2 GHz"
        ),
        locations=step_locations(counts) if located else None,
        build_cost=BuildCost(seconds=552.0, hardware="made up") if supervised else None,
    )


def _point(iteration: int, accuracy: float, images: int) -> Point:
    accuracy = round(min(max(accuracy, 0.0), 1.0) * images) / images
    return Point(iteration=iteration, cross_entropy=1.2 * (1 - accuracy) + 0.3, accuracy=accuracy)


def board_runs(
    methods: Iterable[str] = ("ram", "ps-nogs"),
    seeds: int = 5,
    task: str = "cluttered-digits",
    protocol: str = "scratch",
    model: str = "reference",
) -> Iterator[RunResult]:
    """An entry of each method."""
    for method in methods:
        for seed in range(seeds):
            yield board_run(method, seed, task, protocol, model)


def write_board(folder: Path, runs: Iterable[RunResult]) -> Path:
    """Save the runs into `folder`; returns it."""
    for run in runs:
        save_result(run, folder)
    return folder
