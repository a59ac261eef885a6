"""What a trained model costs and how well it classifies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nogs_bench.fovea import Fovea, ImageTensors, roll_out
from nogs_bench.randomness import torch_generator
from nogs_bench.result import TestMetrics
from nogs_bench.task import Task

CHUNK = 500

# (images uint8 (n, c, h, w), random generator) -> class logits (n, classes)
Classifier = Callable[[Tensor, torch.Generator], Tensor]


def complexity(model: Any, task: Task) -> dict[str, int]:
    """`parameters`, and for one image's T glimpses `multiply_adds` and `pixels_seen`.

    Multiply-adds are of matrix products and convolutions, location choices included. The model
    must be on the CPU.
    """
    cpu = torch.device("cpu")
    images = torch.zeros(1, task.channels, task.image_size, task.image_size, dtype=torch.uint8)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # The counter's hooks want no parameter to need a gradient.
    model = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        roll_out(model, Fovea(task.grid, cpu), images, torch.zeros(task.T, 1))
    return {
        "parameters": parameters,
        "multiply_adds": counter.get_total_flops() // 2,
        "pixels_seen": task.T * task.glimpse_size**2,
    }


def policy_classifier(
    model: Any, task: Task, fovea: Fovea, counts: Tensor | None = None
) -> Classifier:
    """Class logits after one rollout of the model's own policy.

    `counts`: int64 (T, cells), to which the locations of every rollout are added.
    """

    def classify(images: Tensor, generator: torch.Generator) -> Tensor:
        shape = (task.T, len(images))
        uniform = torch.rand(shape, generator=generator, device=images.device)
        rollout = roll_out(model, fovea, images, uniform)
        if counts is not None:
            counts.scatter_add_(-1, rollout.cells, torch.ones_like(rollout.cells))
        return rollout.class_logits

    return classify


def predict(model: Any, classify: Classifier, data: ImageTensors, *key: int | str) -> Tensor:
    """Class log-probabilities float (n, classes) of all images, in eval mode, seeded by `key`."""
    generator = torch_generator(data.images.device, *key)
    model.eval()
    with torch.no_grad():
        parts = [classify(images, generator) for images in data.images.split(CHUNK)]
    return torch.cat(parts).log_softmax(-1)


def measure(model: Any, classify: Classifier, data: ImageTensors, rollouts: int) -> TestMetrics:
    """Metrics of M = `rollouts` rollouts, singly and with their probabilities averaged.

    The rollouts' randomness is the same for every run: only models differ.
    """
    runs = torch.stack([predict(model, classify, data, "test", m) for m in range(rollouts)])
    single = [quality(run, data.labels) for run in runs]
    averaged = quality(runs.exp().mean(0).log(), data.labels)
    return TestMetrics(
        images=len(data),
        rollouts=rollouts,
        cross_entropy=sum(cross_entropy for cross_entropy, _ in single) / rollouts,
        accuracy=sum(accuracy for _, accuracy in single) / rollouts,
        averaged_cross_entropy=averaged[0],
        averaged_accuracy=averaged[1],
    )


def quality(log_probability: Tensor, labels: Tensor) -> tuple[float, float]:
    """Cross-entropy in nats and accuracy in 0..1 of log-probabilities (n, classes)."""
    cross_entropy = functional.nll_loss(log_probability, labels)
    accuracy = (log_probability.argmax(-1) == labels).double().mean()
    return max(0.0, float(cross_entropy)), float(accuracy)
