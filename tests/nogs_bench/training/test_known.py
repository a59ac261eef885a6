"""What a frozen embedder makes of glimpses is computed once an image and kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from corner_task import CORNER, telling_annotations
from nogs_bench.methods import METHODS
from nogs_bench.network import ImageTensors, fovea_of, load_model
from nogs_bench.network.embedders import EMBEDDERS
from nogs_bench.tasks import Task
from nogs_bench.training import Run, Trainee, known, train_together
from nogs_bench.training.known import KnownGlimpses, known_glimpses

CPU = torch.device("cpu")
TRAIN, VALIDATION = (
    ImageTensors.of(CORNER.source.load(split), CORNER, CPU) for split in ("train", "validation")
)
CELLS = CORNER.grid.cells


class Counting(nn.Module):
    """A linear embedder that counts the patches it is given."""

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        self.linear, self.seen = nn.Linear(16, units), 0

    def forward(self, patch: Tensor) -> Tensor:
        self.seen += len(patch)
        return self.linear(patch.flatten(1))


TASK = replace(CORNER, training=replace(CORNER.training, embedder="counting"))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    if "counting" not in EMBEDDERS.names():
        EMBEDDERS.add("counting", Counting)


def _model() -> Any:
    return load_model("reference").build(TASK, 0).eval().requires_grad_(False)


@pytest.mark.parametrize("in_memory", [0, 2**30])
def test_embeddings_are_the_networks_and_are_computed_once(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(known, "IN_MEMORY", in_memory)
    model = _model()
    fovea = fovea_of(TASK, TRAIN)
    kept = KnownGlimpses(fovea, model, len(TRAIN), CELLS)
    rows, cells = torch.tensor([3, 70, 3, 5]), torch.tensor([0, 8, 4, 0])
    expected = model.embed(*fovea(rows, cells))
    before = model.glimpse.seen
    for _ in range(3):
        (found,) = kept(rows, cells)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert model.glimpse.seen - before == 3 * CELLS
    state = model.start(4)
    torch.testing.assert_close(
        kept.look_of(model)(state, *kept(rows, cells)),
        fovea.look_of(model)(state, *fovea(rows, cells)),
        atol=1e-3,
        rtol=1e-3,
    )


def test_they_are_kept_where_that_pays() -> None:
    model, fovea = _model(), fovea_of(TASK, TRAIN)
    few, many = len(TRAIN) * CELLS, len(TRAIN) * CELLS + 1
    assert known_glimpses(fovea, model, "counting", len(TRAIN), CELLS, few) is fovea
    assert known_glimpses(fovea, model, "conv", len(TRAIN), CELLS, many) is fovea
    assert known_glimpses(fovea, model, "counting", len(TRAIN), CELLS, many) is not fovea


def test_frozen_training_asks_the_embedder_once_a_glimpse_and_learns_as_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(TASK, METHODS["ps-nogs"], 60, 0, True)
    curves, counts = [], []
    for keeps in (True, False):
        with monkeypatch.context() as patch:
            if not keeps:
                patch.setattr(known, "worth_keeping", lambda embedder, device: False)
            model = load_model("reference").build(TASK, 0)
            trainee = Trainee(run, model, TRAIN, VALIDATION, telling_annotations())
            (curve,), _ = train_together([trainee])
            curves.append([point.cross_entropy for point in curve])
            counts.append(cast(Counting, model.glimpse).seen)
    torch.testing.assert_close(curves[0], curves[1], atol=5e-3, rtol=5e-3)
    assert counts[1] >= 60 * 16 * CORNER.T
    assert counts[0] < counts[1] / 1.2
