"""Appendix B.2's first stage: embedder, RNN and classifier, on glimpses that no policy chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nogs_bench.batches import batch_rows
from nogs_bench.checkpoint import load_checkpoint, save_checkpoint
from nogs_bench.fovea import Fovea, ImageTensors, follow
from nogs_bench.heuristic import location_probabilities
from nogs_bench.metrics import Classifier, predict
from nogs_bench.model import location_parameters
from nogs_bench.randomness import torch_generator
from nogs_bench.registry import Registry
from nogs_bench.runstate import RunState
from nogs_bench.task import Pretraining, Task
from nogs_bench.trainer import REPORT_EVERY, Report


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


@dataclass
class Best:
    """The weights of the highest validation accuracy so far; the earliest of equals."""

    accuracy: float = -1.0
    weights: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.accuracy, self.weights = state["accuracy"], state["weights"]

    def offer(self, accuracy: float, model: Any) -> None:
        """Keep a copy of the model's weights if `accuracy` is a new best."""
        if accuracy > self.accuracy:
            self.accuracy = accuracy
            self.weights = {name: value.clone() for name, value in model.state_dict().items()}


def pretrain(
    task: Task,
    plan: Pretraining,
    glimpses: np.ndarray,
    seed: int,
    model: Any,
    images: ImageTensors,
    validation: ImageTensors,
    path: Path,
    key: str = "",
    report: Report = lambda done, note: None,
) -> None:
    """Pre-train `model`, in place, and write the best weights to `path`.

    All parameters but the location network's are trained by cross-entropy after T glimpses drawn
    from `glimpses`, probabilities float64 (cells,); the weights kept are those of the highest
    validation accuracy on such glimpses. An interrupted call is resumed from a checkpoint beside
    `path`.
    """
    device = images.images.device
    fixed = location_parameters(model.cpu(), task)
    model.to(device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in fixed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=plan.learning_rate, fused=True)
    generator = torch_generator(device, seed, "pretraining")
    fovea = Fovea(task.grid, device)
    draw = _drawer(glimpses, task.T, device)
    classify = _classifier(model, fovea, draw)
    best = Best()
    parts = {"model": model, "optimiser": optimiser, "best": best}
    checkpoint = path.with_name(f"{path.stem}.unfinished{path.suffix}")
    progress = RunState(key, seed, parts, generator, checkpoint)

    with progress.own_randomness():
        progress.resume()
        size = task.training.batch_size
        batches = batch_rows(len(images), size, seed, device, progress.iteration)
        for iteration in range(progress.iteration, plan.iterations + 1):
            last = iteration == plan.iterations
            if last or iteration % plan.evaluation_period == 0:
                log_p = predict(model, classify, validation, seed, "validation")
                point = progress.record(iteration, log_p, validation.labels)
                best.offer(point.accuracy, model)
                report(iteration, f"accuracy {point.accuracy:.3f}")
                model.train()
                progress.save_if_due()
            if last:
                break
            if iteration % REPORT_EVERY == 0:
                report(iteration, "")

            rows = next(batches)
            picked = images.images.index_select(0, rows)
            logits = follow(model, fovea, picked, draw(len(picked), generator))
            loss = functional.cross_entropy(logits, images.labels.index_select(0, rows))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    save_checkpoint(path, {"key": key, "accuracy": best.accuracy, "weights": best.weights})
    checkpoint.unlink(missing_ok=True)


def load_pretrained(model: Any, path: Path) -> None:
    """Give `model` the weights that `pretrain` wrote to `path`. `NogsError` if it is damaged."""
    model.load_state_dict(load_checkpoint(path)["weights"])


def _drawer(
    probabilities: np.ndarray, T: int, device: torch.device
) -> Callable[[int, torch.Generator], Tensor]:
    """Draws location indices int64 (T, n) by inverse CDF."""
    cdf = torch.from_numpy(np.cumsum(probabilities)).to(device, torch.float32)

    def draw(n: int, generator: torch.Generator) -> Tensor:
        at = torch.rand((T, n), generator=generator, device=device) * cdf[-1]
        return torch.searchsorted(cdf, at, right=True).clamp_(max=len(cdf) - 1)

    return draw


def _classifier(
    model: Any, fovea: Fovea, draw: Callable[[int, torch.Generator], Tensor]
) -> Classifier:
    def classify(images: Tensor, generator: torch.Generator) -> Tensor:
        return follow(model, fovea, images, draw(len(images), generator))

    return classify
