"""What is taught is learned sooner, where a posterior that is exact teaches it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from corner_task import CORNER, TELLING, telling_annotations
from nogs_bench.methods import find_method
from nogs_bench.network.fovea import ImageTensors
from nogs_bench.network.model import load_model
from nogs_bench.training.learner import Run, Trainee
from nogs_bench.training.objectives import Lessons
from nogs_bench.training.trainer import train_together

TRAIN, VALIDATION = (
    ImageTensors.of(CORNER.source.load(split), CORNER, torch.device("cpu"))
    for split in ("train", "validation")
)
SEEDS = 6


class Exact:
    """One corner tells the class, nothing else does; .99 for sure, as a network says it."""

    def log_posterior_along(self, images: Tensor, cells: Tensor) -> Tensor:
        white = (images[:, 0, 8:, 8:].float().mean((1, 2)) > 127).long()
        sure = one_hot(white, 2)[:, None].float().clamp(0.01, 0.99)
        seen = (cells == TELLING).cumsum(1) > 0
        return torch.where(seen[..., None], sure, torch.full_like(sure, 0.5)).log()


def _cross_entropy(spec: str) -> float:
    """On the validation images after 80 iterations, nats, mean over seeds."""
    method, lessons = find_method(spec), Lessons(Exact())
    trainees = [
        Trainee(
            Run(CORNER, method, 80, seed, False, str(seed)),
            load_model("reference").build(CORNER, seed),
            TRAIN,
            VALIDATION,
            telling_annotations() if method.supervised else None,
            lessons=lessons,
        )
        for seed in range(SEEDS)
    ]
    curves, _ = train_together(trainees)
    return sum(curve[-1].cross_entropy for curve in curves) / SEEDS


@pytest.mark.parametrize(
    ("method", "plain", "lead"),
    [
        ("ram-taught", "ram", 0.05),
        ("ram-gain-avp", "ram", 0.2),
        ("ps-nogs-taught", "ps-nogs", 0.02),
    ],
)
def test_a_taught_method_is_ahead(method, plain, lead):
    settings = ":weight=5" if method.endswith("taught") else ""
    assert _cross_entropy(f"{method}{settings}") < _cross_entropy(plain) - lead
