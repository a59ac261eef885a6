"""Made-up results of runs, in the form the trainer writes."""

from __future__ import annotations

from collections.abc import Sequence

from nogs_bench.results.configuration import DatasetInfo, Hyperparameters, ModelInfo
from nogs_bench.results.result import Environment, Point, RunResult, TestMetrics
from nogs_bench.tasks.task import get_task


def run_result(
    method: str = "ram",
    seed: int = 0,
    accuracy: Sequence[float] = (0.1, 0.4, 0.62, 0.7),
    task: str = "cluttered-digits",
    protocol: str = "scratch",
) -> RunResult:
    """A run of 3 evaluation periods of 250 iterations with the given validation accuracies."""
    curve = tuple(
        Point(iteration=250 * i, cross_entropy=2 - 2 * a, accuracy=a)
        for i, a in enumerate(accuracy)
    )
    last = curve[-1]
    return RunResult(
        task=task,
        task_version=get_task(task).version,
        protocol=protocol,
        method=method,
        model=ModelInfo(
            name="reference",
            source_digest="0" * 64,
            parameters=1000,
            multiply_adds=5000,
            pixels_seen=320,
        ),
        dataset=None if method == "ram" else DatasetInfo(name="d", digest="1" * 64, supervised=600),
        seed=seed,
        hyperparameters=Hyperparameters(
            iterations=last.iteration,
            batch_size=64,
            learning_rate=3e-4,
            embedder="conv",
            hidden=64,
            location_hidden=32,
            supervision_weight=1.0,
            supervision_reduction="mean",
            supervised_share=0.0,
            location_gradient=True,
            evaluation_period=250,
            rollouts=5,
            pretraining=None,
        ),
        format_version=3,
        curve=curve,
        test=TestMetrics(
            images=4000,
            rollouts=5,
            cross_entropy=last.cross_entropy,
            accuracy=last.accuracy,
            averaged_cross_entropy=last.cross_entropy,
            averaged_accuracy=last.accuracy,
        ),
        wall_time_s=1.5,
        environment=Environment(
            package="0.1.0", python="3.11", torch="2.15", device="cpu", hardware="made up"
        ),
    )
