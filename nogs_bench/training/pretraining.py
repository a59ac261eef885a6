"""Appendix B.2's first stage: embedder, RNN and classifier, on glimpses that no policy chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.device import Repeated, tf32_products
from nogs_bench.errors import NogsError
from nogs_bench.files import load_checkpoint, save_checkpoint
from nogs_bench.methods import class_loss
from nogs_bench.network import (
    Fovea,
    ImageTensors,
    follow,
    fovea_of,
    joint,
    location_parameters,
    pick,
)
from nogs_bench.randomness import torch_generator
from nogs_bench.registry import Registry
from nogs_bench.tasks import Pretraining, Task
from nogs_bench.training.batches import Draws, batch_rows
from nogs_bench.training.best import Best
from nogs_bench.training.heuristic import location_probabilities
from nogs_bench.training.learner import network_of
from nogs_bench.training.metrics import Classifier, predict
from nogs_bench.training.optimiser import adam, moments
from nogs_bench.training.runstate import Member, RunState
from nogs_bench.training.trainer import REPORT_EVERY, Report

CPU = torch.device("cpu")


@dataclass(frozen=True)
class GlimpseDistribution:
    """Where every glimpse of pre-training is drawn from, independently.

    - `probabilities`: (task, EPE of a first glimpse at each cell, float64 (cells,), nats, or None)
      to float64 (cells,).
    - `of_map`: whether it needs the EPE.
    """

    probabilities: Callable[[Task, np.ndarray | None], np.ndarray]
    of_map: bool = False


GLIMPSES: Registry[GlimpseDistribution] = Registry("glimpse distribution")


def uniform(task: Task, epe: np.ndarray | None = None) -> np.ndarray:
    """Every allowed location alike."""
    return np.full(task.grid.cells, 1 / task.grid.cells)


def salient(task: Task, epe: np.ndarray | None) -> np.ndarray:
    """Equation 17 with inverse temperature 1."""
    assert epe is not None
    return location_probabilities(epe, 1.0)


GLIMPSES.add("uniform", GlimpseDistribution(uniform))
GLIMPSES.add("heuristic", GlimpseDistribution(salient, of_map=True))


@dataclass(frozen=True)
class Pretrainee:
    """A model to pre-train, in place, and where its best weights go.

    - `task`: with the run's own `training`.
    - `glimpses`: where glimpses are drawn from, probabilities float64 (cells,).
    - `key`: names the weights; a checkpoint of others is refused.
    """

    task: Task
    glimpses: np.ndarray
    seed: int
    model: Any
    images: ImageTensors
    validation: ImageTensors
    path: Path
    key: str = ""


def pretrain(
    trainees: Sequence[Pretrainee],
    plan: Pretraining,
    checkpoint: Path | None = None,
    report: Report = lambda done, note: None,
    earlier: Path | None = None,
    stacked: bool = True,
) -> None:
    """Pre-train models, together if there are many, and write the best weights of each.

    All parameters but the location network's are trained by cross-entropy after T glimpses drawn
    from the model's distribution; the weights kept are those of the highest validation accuracy on
    such glimpses. They may differ in seed, distribution, labels and initial weights; models are of
    one class, images and all else are the same. `earlier` and `stacked` as for `train_together`.
    """
    first, models = trainees[0], [t.model for t in trainees]
    task, pixels = first.task, first.images.images
    device = pixels.device
    fixed = location_parameters(models[0].cpu(), task)
    network, parameters = network_of(models, device, stacked)
    stacked = network is not parameters
    for name, parameter in parameters.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name not in fixed)
    trained = [parameter for parameter in parameters.parameters() if parameter.requires_grad]
    if not trained:
        raise NogsError(
            f"model {type(models[0]).__name__} has frozen all that pre-training would train; give "
            "a protocol without it"
        )
    optimiser = adam(trained, [plan.learning_rate] * len(trainees), stacked)
    generators = [torch_generator(device, t.seed, "pretraining") for t in trainees]
    draw = _drawer([t.glimpses for t in trainees], network, device)
    labels = joint([t.images.labels for t in trainees], network)
    known = joint([t.validation.labels for t in trainees], network)
    fovea = fovea_of(task, first.images)
    classify = _classifier(network, fovea_of(task, first.validation), draw)
    best = Best(len(trainees), stacked)
    members = [
        Member(t.key, g, f"the pre-training of {t.task.name} with seed {t.seed}")
        for t, g in zip(trainees, generators, strict=True)
    ]
    parts = {"model": parameters, "optimiser": optimiser, "best": best}
    progress = RunState(members, first.seed, parts, checkpoint, earlier, stacked)

    with progress.own_randomness(), tf32_products(device):
        progress.resume()
        size = min(task.training.batch_size, len(pixels))
        batches = [batch_rows(len(pixels), size, t.seed, CPU, progress.iteration) for t in trainees]
        draws = Draws(batches, generators, (task.T, size), network, device)

        def step() -> None:
            rows, uniform, _ = draws.take()
            logits = follow(network, fovea, rows, draw(uniform))
            loss = class_loss(logits, pick(labels, rows)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        def changed() -> list[Tensor]:
            held = parameters.state_dict().values()
            return [*held, *moments(optimiser), draws.place, draws.iteration]

        repeated = Repeated(step, changed, device)
        period = plan.evaluation_period
        for iteration in range(progress.iteration, plan.iterations + 1):
            last = iteration == plan.iterations
            if last or iteration % period == 0:
                fresh = [torch_generator(device, t.seed, "validation") for t in trainees]
                log_p = predict(network, classify, known.shape[-1], task.T, fresh)
                accuracies = progress.record(iteration, log_p, known)
                best.offer(accuracies, parameters)
                report(iteration, f"accuracy {accuracies.mean():.3f}")
                network.train()
                progress.save_if_due()
            if last:
                break
            if iteration % REPORT_EVERY == 0:
                report(iteration, "")
            draws.ahead(iteration, min(iteration - iteration % period + period, plan.iterations))
            repeated()
    for number, trainee in enumerate(trainees):
        accuracy = float(best.score[number])
        content = {"key": trainee.key, "accuracy": accuracy, "weights": best.of(number)}
        save_checkpoint(trainee.path, content)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def load_pretrained(model: Any, path: Path) -> None:
    """Give `model` the weights that `pretrain` wrote to `path`. `NogsError` if it is damaged."""
    model.load_state_dict(load_checkpoint(path)["weights"])


def _drawer(
    probabilities: Sequence[np.ndarray], network: Any, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Location indices int64 ([R,] T, n) by inverse CDF of uniform numbers ([R,] T, n)."""
    each = [torch.from_numpy(np.cumsum(p)).to(device, torch.float32) for p in probabilities]
    cdf = joint(each, network)

    def draw(uniform: Tensor) -> Tensor:
        at = (uniform.flatten(-2) * cdf[..., -1:]).contiguous()
        drawn = torch.searchsorted(cdf, at, right=True).clamp_(max=cdf.shape[-1] - 1)
        return drawn.view(uniform.shape)

    return draw


def _classifier(model: Any, fovea: Fovea, draw: Callable[[Tensor], Tensor]) -> Classifier:
    def classify(rows: Tensor, uniform: Tensor) -> Tensor:
        return follow(model, fovea, rows, draw(uniform))

    return classify
