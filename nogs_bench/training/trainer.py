"""Training hard-attention networks: one loop for every method and protocol, for one run or many.

A run is a function of its arguments alone: on a CPU, interrupted and resumed, it gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nogs_bench.device import tf32_products
from nogs_bench.network import unstack
from nogs_bench.results import Point
from nogs_bench.training.best import Best
from nogs_bench.training.learner import Learner, Trainee
from nogs_bench.training.runstate import RunState

REPORT_EVERY = 50

# (iterations done, a few words) -> None
Report = Callable[[int, str], None]

# (iterations done, what learns) -> None
Watch = Callable[[int, Learner], None]


def train_together(
    trainees: Sequence[Trainee],
    checkpoint: Path | None = None,
    report: Report = lambda done, note: None,
    earlier: Path | None = None,
    stacked: bool = True,
    keep: bool = False,
    watch: Watch | None = None,
) -> tuple[list[tuple[Point, ...]], float]:
    """As `train`, R runs at once; returns the curve of each, and each one's share of the seconds.

    The runs may differ in seed, method, annotations, labels and initial weights; models are of one
    class, images and all else are the same. `earlier` is a checkpoint to go on from where
    `checkpoint` is not there. They are computed by the models' `stack`; a single one, if not
    `stacked`, by the model as it is. With `keep`, `Trainee.best` is filled.
    `watch` is called after every validation.
    """
    learner = Learner(trainees, stacked)
    run, period = trainees[0].run, trainees[0].run.task.training.evaluation_period
    best, parts = Best(len(trainees), learner.stacked), {**learner.parts}
    if keep:
        parts["best"] = best
    progress = RunState(learner.members, run.seed, parts, checkpoint, earlier, learner.stacked)
    with progress.own_randomness(), tf32_products(learner.device):
        progress.resume()
        learner.begin(progress.iteration)
        for iteration in range(progress.iteration, run.iterations + 1):
            last = iteration == run.iterations
            if last or iteration % period == 0:
                accuracy = progress.record(iteration, learner.validate(), learner.known).mean()
                report(iteration, f"accuracy {accuracy:.3f}")
                if keep:
                    best.offer(-progress.cross_entropy(), learner.parts["model"])
                if watch is not None:
                    watch(iteration, learner)
                learner.network.train(not run.frozen)
                progress.save_if_due()
            if last:
                break
            if iteration % REPORT_EVERY == 0:
                report(iteration, "")
            learner.learn(iteration, min(iteration - iteration % period + period, run.iterations))
    if learner.stacked:
        unstack(learner.network, learner.models)
    if keep:
        for number, trainee in enumerate(trainees):
            trainee.best.update(best.of(number))
    return [tuple(member.curve) for member in learner.members], progress.seconds()
