"""What a trained model costs and how well it classifies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nogs_bench.network import Fovea, joint, plain_attention, roll_out
from nogs_bench.randomness import torch_generator
from nogs_bench.results import TestMetrics
from nogs_bench.tasks import Task

CHUNK = 500

# (image numbers int64 (n,), uniform numbers float ([R,] T, n)) -> class logits ([R,] n, classes)
Classifier = Callable[[Tensor, Tensor], Tensor]


def complexity(model: Any, task: Task) -> dict[str, int]:
    """`parameters`, and for one image's T glimpses `multiply_adds` and `pixels_seen`.

    Multiply-adds are of matrix products and convolutions, location choices included. The model
    must be on the CPU.
    """
    images = torch.zeros(1, task.channels, task.image_size, task.image_size, dtype=torch.uint8)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # The counter's hooks want no parameter to need a gradient.
    model = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.no_grad(), plain_attention(), FlopCounterMode(display=False) as counter:
        fovea = Fovea(task.grid, images)
        roll_out(model, fovea, torch.zeros(1, dtype=torch.int64), torch.zeros(task.T, 1))
    return {
        "parameters": parameters,
        "multiply_adds": counter.get_total_flops() // 2,
        "pixels_seen": task.T * task.glimpse_size**2,
    }


def policy_classifier(model: Any, fovea: Fovea, counts: Tensor | None = None) -> Classifier:
    """Class logits after one rollout of the model's own policy.

    `counts` int64 ([R,] T, cells) is increased by one for every glimpse that is taken.
    """

    def classify(rows: Tensor, uniform: Tensor) -> Tensor:
        rollout = roll_out(model, fovea, rows, uniform)
        if counts is not None:
            counts.scatter_add_(-1, rollout.cells, torch.ones_like(rollout.cells))
        return rollout.class_logits

    return classify


def predict(
    model: Any, classify: Classifier, count: int, T: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Class log-probabilities float ([R,] n, classes) of images 0 .. `count` - 1, in eval mode.

    `generators`: one for each model of a stack, or the only one's.
    """
    device = generators[0].device
    model.eval()
    parts = []
    with torch.no_grad():
        for rows in torch.arange(count, device=device).split(CHUNK):
            shape = (T, len(rows))
            each = [torch.rand(shape, generator=g, device=device) for g in generators]
            uniform = joint(each, model)
            parts.append(classify(rows.expand(*uniform.shape[:-2], -1), uniform))
    return torch.cat(parts, dim=-2).log_softmax(-1)


def measure(
    model: Any, classify: Classifier, labels: Tensor, T: int, rollouts: int
) -> list[TestMetrics]:
    """Metrics of M = `rollouts` rollouts, singly and with their probabilities averaged.

    `labels`: int64 (R, n), one row for each model of a stack, or the only one's. The rollouts'
    randomness is the same for every run: only models differ.
    """
    runs, count = labels.shape
    single = []
    for m in range(rollouts):
        generators = [torch_generator(labels.device, "test", m) for _ in range(runs)]
        log_p = predict(model, classify, count, T, generators)
        single.append(log_p.view(runs, count, -1))
    return [_metrics([own[run] for own in single], labels[run]) for run in range(runs)]


def _metrics(rollouts: Sequence[Tensor], labels: Tensor) -> TestMetrics:
    single = [quality(log_p, labels) for log_p in rollouts]
    averaged = quality(torch.stack(list(rollouts)).exp().mean(0).log(), labels)
    return TestMetrics(
        images=len(labels),
        rollouts=len(rollouts),
        cross_entropy=sum(cross_entropy for cross_entropy, _ in single) / len(rollouts),
        accuracy=sum(accuracy for _, accuracy in single) / len(rollouts),
        averaged_cross_entropy=averaged[0],
        averaged_accuracy=averaged[1],
    )


def quality(log_probability: Tensor, labels: Tensor) -> tuple[float, float]:
    """Cross-entropy in nats and accuracy in 0..1 of log-probabilities (n, classes)."""
    cross_entropy = functional.nll_loss(log_probability, labels)
    accuracy = (log_probability.argmax(-1) == labels).double().mean()
    return max(0.0, float(cross_entropy)), float(accuracy)
