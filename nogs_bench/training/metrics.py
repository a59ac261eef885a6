"""What a trained model costs and how well it classifies."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nogs_bench.errors import NogsError
from nogs_bench.network import Fovea, frozen_parameters, joint, plain_attention, roll_out
from nogs_bench.randomness import torch_generator
from nogs_bench.results import ClassAccuracy, StepMetrics, TestMetrics
from nogs_bench.tasks import Task

CHUNK = 500  # images at once; draws are made for one chunk after another, and so depend on it
LARGEST = 1e9  # nats; a result holds no more

# (image numbers int64 (n,), uniform numbers float ([R,] T, n)) -> class logits ([R,] n, classes)
Classifier = Callable[[Tensor, Tensor], Tensor]


def complexity(model: Any, task: Task) -> dict[str, int]:
    """`parameters`, and for one image's T glimpses `multiply_adds` and `pixels_seen`.

    Multiply-adds are of matrix products and convolutions, location choices included. The model
    must be on the CPU.
    """
    images = torch.zeros(1, task.channels, task.image_size, task.image_size, dtype=torch.uint8)
    parameters = sum(part.numel() for part in (*model.parameters(), *frozen_parameters(model)))
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


def step_costs(model: Any, task: Task) -> list[int]:
    """Multiply-adds of one image's first 1 .. T glimpses, with an answer after each.

    As `complexity` counts them; its own are of T glimpses with the last answer alone.
    """
    images = torch.zeros(1, task.channels, task.image_size, task.image_size, dtype=torch.uint8)
    row = torch.zeros(1, dtype=torch.int64)
    model = copy.deepcopy(model).eval().requires_grad_(False)
    costs = []
    with torch.no_grad(), plain_attention(), FlopCounterMode(display=False) as counter:
        fovea = Fovea(task.grid, images)
        state = model.start(1)
        for _ in range(task.T):
            cell = model.locate(state).argmax(-1)
            state = model.look(state, *fovea(row, cell))
            model.classify(state)
            costs.append(counter.get_total_flops() // 2)
    return costs


def policy_classifier(
    model: Any, fovea: Fovea, counts: Tensor | None = None, every: bool = False
) -> Classifier:
    """Class logits after one rollout of the model's own policy.

    `counts` int64 ([R,] T, cells) is increased by one for every glimpse that is taken. With `every`
    the logits are ([R,] n, T, classes), after each of the T glimpses.
    """

    def classify(rows: Tensor, uniform: Tensor) -> Tensor:
        rollout = roll_out(model, fovea, rows, uniform)
        if counts is not None:
            counts.scatter_add_(-1, rollout.cells, torch.ones_like(rollout.cells))
        if not every:
            return rollout.class_logits
        steps = [*map(model.classify, rollout.states[1:]), rollout.class_logits]
        return torch.stack(steps, dim=-2)

    return classify


def predict(
    model: Any, classify: Classifier, count: int, T: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Class log-probabilities float ([R,] n, ..., classes) of images 0 .. `count` - 1, in eval
    mode.

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
    return torch.cat(parts, dim=uniform.dim() - 2).log_softmax(-1)


def held(log_probability: Tensor) -> bool:
    """Whether log-probabilities are numbers, none too small for a result."""
    return bool((log_probability > -LARGEST).all())


def measure(
    model: Any, classify: Classifier, labels: Tensor, T: int, rollouts: int
) -> list[TestMetrics]:
    """Metrics of M = `rollouts` rollouts, singly and with their probabilities averaged.

    `classify`: a `policy_classifier` of every step.

    `labels`: int64 (R, n), one row for each model of a stack, or the only one's. The rollouts'
    randomness is the same for every run: only models differ. Raises `NogsError` if what a model
    predicts is not finite.
    """
    runs, count = labels.shape
    single = []
    for m in range(rollouts):
        generators = [torch_generator(labels.device, "test", m) for _ in range(runs)]
        log_p = predict(model, classify, count, T, generators)
        if not held(log_p):
            raise NogsError("predictions on the test split are not finite; lower the learning rate")
        single.append(log_p.view(runs, count, T, -1))
    return [_metrics([own[run] for own in single], labels[run]) for run in range(runs)]


def _metrics(rollouts: Sequence[Tensor], labels: Tensor) -> TestMetrics:
    """Of M log-probabilities (n, T, classes) and labels (n,)."""
    M, steps = len(rollouts), rollouts[0].shape[1]
    after = [_mean([quality(log_p[:, t], labels) for log_p in rollouts]) for t in range(steps)]
    # In logarithms: the probability of a label may be less than any float.
    mixed = torch.stack([log_p[:, -1] for log_p in rollouts]).logsumexp(0) - math.log(M)
    averaged, last = quality(mixed, labels), after[-1]
    return TestMetrics(
        images=len(labels),
        rollouts=M,
        cross_entropy=last.cross_entropy,
        accuracy=last.accuracy,
        averaged_cross_entropy=averaged.cross_entropy,
        averaged_accuracy=averaged.accuracy,
        balanced_accuracy=last.balanced_accuracy,
        averaged_balanced_accuracy=averaged.balanced_accuracy,
        classes=last.by_class(),
        after=tuple(
            StepMetrics(
                cross_entropy=each.cross_entropy,
                accuracy=each.accuracy,
                balanced_accuracy=each.balanced_accuracy,
            )
            for each in after
        ),
    )


@dataclass(frozen=True)
class Quality:
    """How good class log-probabilities are: cross-entropy in nats, accuracies in 0..1.

    `right`: each class's own accuracy, NaN where it has no image; `images`: how many it has.
    """

    cross_entropy: float
    accuracy: float
    right: Tensor
    images: Tensor

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the accuracies of the classes that there are."""
        return min(1.0, float(self.right.nanmean()))

    def by_class(self) -> tuple[ClassAccuracy | None, ...]:
        """As results have it."""
        each = zip(self.images.tolist(), self.right.tolist(), strict=True)
        return tuple(
            ClassAccuracy(images=count, accuracy=right) if count else None for count, right in each
        )


def quality(log_probability: Tensor, labels: Tensor) -> Quality:
    """The quality of log-probabilities (n, classes) for labels int64 (n,)."""
    classes = log_probability.shape[-1]
    cross_entropy = functional.nll_loss(log_probability, labels)
    right = log_probability.argmax(-1) == labels
    images = torch.bincount(labels, minlength=classes)
    each = torch.bincount(labels[right], minlength=classes).double() / images
    return Quality(
        max(0.0, float(cross_entropy)), float(right.double().mean()), each.cpu(), images.cpu()
    )


def _mean(rollouts: Sequence[Quality]) -> Quality:
    count = len(rollouts)
    return Quality(
        sum(each.cross_entropy for each in rollouts) / count,
        sum(each.accuracy for each in rollouts) / count,
        torch.stack([each.right for each in rollouts]).mean(0).clamp(max=1),
        rollouts[0].images,
    )
