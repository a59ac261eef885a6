from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nogs_bench
from nogs_bench.errors import NogsError
from nogs_bench.network.model import load_model, location_parameters
from nogs_bench.network.stacking import why_not
from nogs_bench.results.entries import load_results
from nogs_bench.training.metrics import complexity
from places import ROOT
from tiny import corner_task

EXAMPLES = ROOT / "examples"
TRANSFORMER = f"{EXAMPLES / 'transformer_core.py'}:TransformerNet"
TIMM = f"{EXAMPLES / 'timm_backbone.py'}:TimmNet"
SMALL = "timm:test_resnet"
LAYERS = 2  # of the transformer


def test_a_transformer_s_glimpses_are_a_set() -> None:
    task = corner_task(T=3)
    net = load_model(TRANSFORMER).build(task, 0).eval()
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand(3, 5, 1, 4, 4, generator=generator)
    places = torch.rand(3, 5, 2, generator=generator) * 2 - 1

    def after(*order: int) -> torch.Tensor:
        state = net.start(5)
        for t in order:
            state = net.look(state, patches[t], places[t])
        return net.classify(state)

    with torch.no_grad():
        torch.testing.assert_close(after(0, 1, 2), after(2, 0, 1), rtol=1e-4, atol=1e-5)
        assert (after(0, 1, 2) - after(0, 1)).abs().max() > 1e-3
        # What stands in a row that no glimpse has filled is not looked at.
        state = net.look(net.start(5), patches[0], places[0])
        spoilt = state.clone()
        spoilt[:, 2:, :-1] = 7.0
        spoilt[:, 2] = state[:, 2]
        torch.testing.assert_close(
            net.look(spoilt, patches[1], places[1])[:, 0],
            net.look(state, patches[1], places[1])[:, 0],
        )


def test_the_transformer_s_location_network_is_its_own() -> None:
    task = corner_task()
    net = load_model(TRANSFORMER).build(task, 0)
    assert {name.split(".")[0] for name in location_parameters(net, task)} == {"locator"}


# What the oldest torch says of its fallback.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_the_transformer_s_runs_are_computed_together() -> None:
    task, fast = corner_task(), torch.backends.mha.get_fastpath_enabled()
    assert why_not(lambda seed: load_model(TRANSFORMER).build(task, seed), task) is None
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_the_transformer_s_multiply_adds_are_all_counted() -> None:
    """By hand: T steps of two layers over T + 1 tokens, beside what a model without them has."""
    task = corner_task(T=3)
    net = load_model(TRANSFORMER).build(task, 0)
    units, tokens = task.training.hidden, task.T + 1
    projections, attention = 4 * units**2 + 4 * units**2, 2 * tokens * units
    core = task.T * LAYERS * tokens * (projections + attention)
    without = load_model(TRANSFORMER).build(task, 0)
    without.core = Same()
    assert (
        complexity(net, task)["multiply_adds"] == complexity(without, task)["multiply_adds"] + core
    )


class Same(torch.nn.Module):
    def forward(self, tokens: torch.Tensor, src_key_padding_mask: torch.Tensor) -> torch.Tensor:
        return tokens


def test_the_timm_example_wants_a_timm_backbone() -> None:
    with pytest.raises(NogsError, match="give --embedder timm:"):
        load_model(TIMM).build(corner_task(), 0)
    task = corner_task()
    net = load_model(TIMM).build(replace(task, training=replace(task.training, embedder=SMALL)), 0)
    assert net.classify(net.start(2)).shape == (2, 4)


@pytest.mark.parametrize(("model", "embedder"), [(TRANSFORMER, "conv"), (TIMM, SMALL)])
def test_examples_train_under_both_protocols(tmp_path: Path, model: str, embedder: str) -> None:
    """A step or two of each; the names that results get are the classes'."""
    task = corner_task(name="corner-examples")
    for protocol in ("scratch", "pretrained"):
        nogs_bench.evaluate(
            model,
            task=task,
            methods="ram",
            seeds=1,
            protocol=protocol,
            iterations=4,
            training={"embedder": embedder},
            out=tmp_path,
        )
    runs = load_results(tmp_path)
    assert [run.model.name for run in runs] == [model.rpartition(":")[2]] * 2
    assert all(run.hyperparameters.embedder == embedder for run in runs)


@pytest.mark.slow
def test_the_transformer_learns() -> None:
    """By cross-entropy on glimpses of the telling corner, in 150 steps."""
    task = corner_task()
    net = load_model(TRANSFORMER).build(task, 0)
    data = task.source.load("train")
    images = torch.from_numpy(data.images).float() / 255
    labels = torch.from_numpy(data.labels[:, 0])
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    corner, elsewhere = torch.ones(400, 2), -torch.ones(400, 2)
    for _ in range(150):
        state = net.look(net.start(400), images[:, :, :4, :4], elsewhere)
        state = net.look(state, images[:, :, 8:, 8:], corner)
        loss = torch.nn.functional.cross_entropy(net.classify(state), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1
