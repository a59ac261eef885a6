"""Runs that are trained together are the runs that they would be alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import nogs_bench.training.runstate
from corner_task import CORNER, telling_annotations
from nogs_bench.files.checkpoint import load_checkpoint
from nogs_bench.methods import METHODS
from nogs_bench.network.fovea import ImageTensors
from nogs_bench.network.model import HardAttentionNet, load_model
from nogs_bench.network.policy import log_probability
from nogs_bench.network.stacked_ops import as_matrices, gru, rectified_pool
from nogs_bench.network.stacked_ops import log_probability as stacked_log_probability
from nogs_bench.network.stacking import MappedStack, stack, why_not
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import Pretraining, get_task
from nogs_bench.training.learner import Run, Trainee
from nogs_bench.training.optimiser import FlatAdam
from nogs_bench.training.pretraining import Pretrainee, pretrain, uniform
from nogs_bench.training.trainer import train_together

TRAIN, VALIDATION = (
    ImageTensors.of(CORNER.source.load(split), CORNER, torch.device("cpu"))
    for split in ("train", "validation")
)
KINDS = ("ram", "ps-nogs", "ps-nogs-anneal", "ram")


class Plain(nn.Module):
    """A user's own: no GRU, no convolution, another state."""

    def __init__(self, task) -> None:
        super().__init__()
        self.see = nn.Linear(task.glimpse_size**2 + 2, 6)
        self.keep, self.where = nn.Linear(6, 6), nn.Linear(6, task.grid.cells)
        self.what = nn.Linear(6, len(task.classes))

    def start(self, n):
        return self.see.weight.new_zeros(n, 6)

    def look(self, state, patch, location):
        seen = torch.cat([patch.flatten(1), location], 1)
        return torch.tanh(self.see(seen) + self.keep(state))

    def locate(self, state):
        return self.where(state)

    def classify(self, state):
        return self.what(state)


class Mine(HardAttentionNet):
    """A user's own that no native stack fits."""


class Dropping(Mine):
    def classify(self, state):
        return self.classifier(functional.dropout(state, 0.5, self.training))


def _model(seed: int, kind=HardAttentionNet) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(CORNER)


def _trainees(frozen: bool, kind=HardAttentionNet, flip: bool = False) -> list[Trainee]:
    made = []
    for seed, method in enumerate(KINDS):
        settings = replace(CORNER.training, supervised_share=0.5 if frozen else 0.0)
        run = Run(
            replace(CORNER, training=settings), METHODS[method], 25, seed, frozen, f"run {seed}"
        )
        annotations = telling_annotations() if METHODS[method].supervised else None
        # Another attribute of the same images.
        images, validation = (
            ImageTensors(split.images, 1 - split.labels) if flip and seed % 2 else split
            for split in (TRAIN, VALIDATION)
        )
        made.append(Trainee(run, _model(seed, kind), images, validation, annotations))
    return made


def _alone(trainees: list[Trainee]) -> list:
    return [train_together([own], stacked=False)[0][0] for own in trainees]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", [HardAttentionNet, Mine, Plain])
def test_each_run_has_the_curve_that_it_has_alone(frozen, kind):
    together, alone = _trainees(frozen, kind, flip=True), _trainees(frozen, kind, flip=True)
    curves, _ = train_together(together)
    for curve, expected in zip(curves, _alone(alone), strict=True):
        assert [p.iteration for p in curve] == [0, 10, 20, 25]
        for point, own in zip(curve, expected, strict=True):
            assert point.cross_entropy == pytest.approx(own.cross_entropy, abs=1e-5)
            assert point.accuracy == own.accuracy
    assert len({curve[-1] for curve in curves}) == len(curves), "four different runs"
    for own, lone in zip(together, alone, strict=True):
        for name, value in lone.model.state_dict().items():
            assert torch.allclose(own.model.state_dict()[name], value, atol=1e-5), name


@pytest.mark.parametrize("frozen", [False, True])
def test_the_reference_network_has_the_same_bytes_in_every_company(frozen):
    whole, _ = train_together(_trainees(frozen))
    for size in (1, 2, 3):
        parts = _trainees(frozen)
        groups = [parts[at : at + size] for at in range(0, len(parts), size)]
        assert [curve for group in groups for curve in train_together(group)[0]] == whole


class _Stopped(Exception):
    pass


def _stop(done: int, note: str) -> None:
    if done >= 20:
        raise _Stopped


@pytest.mark.parametrize("frozen", [False, True])
def test_an_interrupted_group_goes_on_whole_or_in_part(tmp_path, monkeypatch, frozen):
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    expected, _ = train_together(_trainees(frozen))
    path = tmp_path / "c.safetensors"
    with pytest.raises(_Stopped):
        train_together(_trainees(frozen), path, _stop)
    assert load_checkpoint(path)["iteration"] == 10
    part = _trainees(frozen)[1:3]
    assert train_together(part, None, earlier=path)[0] == expected[1:3]
    # A single one, computed by its own model from what the stack saved.
    lone = train_together(_trainees(frozen)[1:2], None, earlier=path, stacked=False)[0][0]
    ends = [point.cross_entropy for point in (lone[-1], expected[1][-1])]
    assert ends[0] == pytest.approx(ends[1], abs=1e-5)
    assert train_together(_trainees(frozen), path)[0] == expected


def _pretrain(folder: Path, stacked: bool, report=lambda done, note: None) -> list[Path]:
    trainees = [
        Pretrainee(
            CORNER,
            uniform(CORNER),
            seed,
            _model(seed),
            TRAIN,
            VALIDATION,
            folder / f"{seed}.safetensors",
            str(seed),
        )
        for seed in range(3)
    ]
    plan = Pretraining(25, 1e-2, evaluation_period=10)
    for group in [trainees] if stacked else [[own] for own in trainees]:
        pretrain(group, plan, folder / "unfinished.safetensors", report, stacked=stacked)
    return [own.path for own in trainees]


def test_pretraining_together_is_pretraining_alone_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    together, alone = (_pretrain(tmp_path / kind, kind == "a") for kind in "ab")
    for path, lone in zip(together, alone, strict=True):
        own, expected = load_checkpoint(path), load_checkpoint(lone)
        assert own["accuracy"] == expected["accuracy"]
        for name, value in expected["weights"].items():
            assert torch.allclose(own["weights"][name], value, atol=1e-3), name
    with pytest.raises(_Stopped):
        _pretrain(tmp_path / "c", True, _stop)
    resumed = _pretrain(tmp_path / "c", True)
    assert [path.read_bytes() for path in resumed] == [path.read_bytes() for path in together]


def test_what_cannot_be_stacked_says_why():
    assert why_not(lambda seed: _model(seed), CORNER) is None
    assert why_not(lambda seed: _model(seed, Plain), CORNER) is None
    assert "random" in why_not(lambda seed: _model(seed, Dropping), CORNER)

    class Counting(Mine):
        def __init__(self, task):
            super().__init__(task)
            self.calls = 0

        def classify(self, state):
            self.calls += int(state.sum() > 0)  # depends on the data
            return super().classify(state)

    assert why_not(lambda seed: _model(seed, Counting), CORNER)


@pytest.mark.parametrize("task", ["corner", "cluttered-digits", "celeba-hq-male"])
def test_both_stacks_of_the_reference_network_compute_what_it_does(task):
    task = CORNER if task == "corner" else get_task(task)
    models = [load_model("reference").build(task, seed) for seed in range(3)]
    size = task.glimpse_size
    patch, location = torch.rand(3, 5, task.channels, size, size), torch.rand(3, 5, 2)

    def run(model, patch, location):
        state = model.look(model.start(5), patch, location)
        state = model.look(state, patch.flip(-1), -location)
        return [state, model.locate(state), model.classify(state)]

    for made in (stack(models), MappedStack(models)):
        found = run(made, patch, location)
        sum(value.square().sum() for value in found).backward()
        for number, model in enumerate(models):
            model.zero_grad()
            own = run(model, patch[number], location[number])
            sum(value.square().sum() for value in own).backward()
            for value, expected in zip(found, own, strict=True):
                assert torch.allclose(value[number], expected, atol=1e-5)
            for name, parameter in model.named_parameters():
                gradient = made.members.get_parameter(name).grad[number]
                assert torch.allclose(gradient, parameter.grad, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("side", [3, 4, 5])
def test_a_tape_has_the_gradient_of_one_look_after_another(side):
    task = replace(CORNER, grid=GlimpseGrid.even(12, side, 1))
    models = [load_model("reference").build(task, seed) for seed in range(3)]
    patches, locations = torch.rand(4, 3, 5, 1, side, side), torch.rand(4, 3, 5, 2)
    weights = torch.randn(5, 3, 5, CORNER.training.hidden)

    def states(stacked, tape):
        found = [stacked.start(5)]
        for patch, location in zip(patches, locations, strict=True):
            found.append((tape or stacked).look(found[-1], patch, location))
        return tape.states(found[-1]) if tape else found

    def gradients(taped):
        stacked = stack(models)
        start = stacked.start(5)
        found = states(stacked, stacked.tape(side) if taped else None)
        assert torch.equal(found[0], start)
        sum((state * own).sum() for state, own in zip(found, weights, strict=True)).backward()
        return found, {name: p.grad for name, p in stacked.members.named_parameters()}

    (found, own), (expected, theirs) = gradients(True), gradients(False)
    for value, other in zip(found, expected, strict=True):
        assert torch.allclose(value, other, atol=1e-6)
    for name, gradient in theirs.items():
        assert (gradient is None) == (own[name] is None), name
        if gradient is not None:
            assert torch.allclose(own[name], gradient, rtol=1e-4, atol=1e-5), name


def test_a_frozen_embedder_is_looked_up_again_when_its_weights_change():
    models = [load_model("reference").build(CORNER, seed) for seed in range(2)]
    stacked = stack(models).requires_grad_(False)
    patch = torch.rand(2, 3, CORNER.channels, *[CORNER.glimpse_size] * 2)
    location = torch.rand(2, 3, 2)
    first = stacked.look(stacked.start(3), patch, location)
    state = {name: 2 * value for name, value in stacked.members.state_dict().items()}
    stacked.members.load_state_dict(state)
    again = stacked.look(stacked.start(3), patch, location)
    other = stack(models).requires_grad_(False)
    other.members.load_state_dict(state)
    assert torch.equal(again, other.look(other.start(3), patch, location))
    assert not torch.equal(again, first)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_convolution_as_matrices(rows):
    for side in (3, 4, 5):
        for stride in (1, 2):
            layer = nn.Conv2d(2, 3, 3, stride, padding=1)
            x = torch.rand(6, 2, side, side)
            expected = layer(x).movedim(1, 3).flatten(1)
            held = nn.Conv2d(2, 3, 3, stride, padding=1)
            held.weight = nn.Parameter(layer.weight[None].detach())
            held.bias = nn.Parameter(layer.bias[None].detach())
            flat = x.movedim(1, 3).flatten(1)[None]
            found = torch.cat([row(flat) for row in as_matrices(held, side, rows)], dim=-1)[0]
            assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_the_pool_and_its_gradient_ties_included(side):
    # Few distinct values, so that many are equal, zeros and negative ones among them.
    maps = torch.randint(-2, 3, (2, 7, side, side, 3)).float()
    ours = maps.flatten(2).requires_grad_()
    theirs = maps.movedim(4, 2).flatten(0, 1).requires_grad_()
    pooled = functional.max_pool2d(theirs.relu(), 2, ceil_mode=True)
    weight = torch.rand_like(pooled)
    (pooled * weight).sum().backward()
    found = rectified_pool(ours, side)
    half = pooled.shape[-1]
    assert torch.equal(found.view(14, half, half, 3).movedim(3, 1), pooled)
    (found * weight.movedim(1, 3).reshape(found.shape)).sum().backward()
    assert torch.equal(ours.grad.view(14, side, side, 3).movedim(3, 1), theirs.grad)


def test_the_gru_and_the_log_probability_have_the_gradients_of_torch():
    cell = nn.GRUCell(4, 5).double()
    x, state = torch.rand(3, 4).double(), torch.rand(3, 5).double().requires_grad_()
    given = functional.linear(x, cell.weight_ih, cell.bias_ih).detach().requires_grad_()
    kept = functional.linear(state, cell.weight_hh, cell.bias_hh).detach().requires_grad_()
    assert torch.allclose(gru(given, kept, state), cell(x, state))
    assert torch.autograd.gradcheck(gru, (given, kept, state))
    logits, index = torch.randn(2, 3, 6).double().requires_grad_(), torch.randint(6, (2, 3))
    assert torch.equal(stacked_log_probability(logits, index), log_probability(logits, index))
    assert torch.autograd.gradcheck(lambda own: stacked_log_probability(own, index), (logits,))


def test_flat_adam_is_adam_and_keeps_its_state():
    shapes = [(3, 5), (7,), (2, 1, 4)]
    begin = [torch.randn(shape) for shape in shapes]
    gradients = [[torch.randn(shape) for shape in shapes] for _ in range(4)]

    def run(kind, steps, parameters, state=None):
        optimiser = kind(parameters)
        if state:
            optimiser.load_state_dict(state)
        for own in steps:
            optimiser.zero_grad()
            for parameter, gradient in zip(parameters, own, strict=True):
                (parameter * gradient).sum().backward()
            optimiser.step()
        return optimiser

    flat, plain, resumed = ([nn.Parameter(v.clone()) for v in begin] for _ in range(3))
    run(lambda p: torch.optim.Adam(p, lr=0.1), gradients, plain)
    run(lambda p: FlatAdam(p, [0.1]), gradients, flat)
    saved = run(lambda p: FlatAdam(p, [0.1]), gradients[:2], resumed).state_dict()
    again = [nn.Parameter(p.detach().clone()) for p in resumed]
    run(lambda p: FlatAdam(p, [0.1]), gradients[2:], again, saved)
    for one, two, three in zip(flat, plain, again, strict=True):
        assert torch.allclose(one, two, atol=1e-6)
        assert torch.equal(one, three)


def test_glimpses_of_a_mapped_file_are_those_of_memory(tmp_path, monkeypatch):
    import numpy as np

    from nogs_bench.images.labelled import LabelledImages
    from nogs_bench.images.store import open_split, shared_images
    from nogs_bench.network import fovea

    monkeypatch.setattr(fovea, "HELD_BYTES", 500)  # less than one call's
    grid = GlimpseGrid.even(12, 4, 1)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 2, 12, 12)).astype(np.uint8)
    np.save(tmp_path / "all.npy", pixels)
    part = np.load(tmp_path / "all.npy", mmap_mode="r")[10:25]
    rows = LabelledImages(part, np.zeros((15, 1), np.int64))
    with shared_images({"train": rows}, tmp_path / "store") as folder:
        assert not list(folder.glob("*.images.npy")), "mapped images are not copied"
        mapped = ImageTensors.of(open_split(folder, "train"), CORNER, torch.device("cpu"))
        view = fovea.Fovea(grid, mapped.images, mapped.mapping)
        assert view.mapping is not None
        at, cells = torch.randint(15, (2, 40)), torch.randint(grid.cells, (2, 40))
        for _ in range(3):
            patch, _ = view(at, cells)
        for r, i in ((0, 0), (1, 39), (0, 17)):
            row, col = grid.pixels[cells[r, i]]
            own = pixels[10 + at[r, i], :, row : row + 4, col : col + 4]
            assert torch.allclose(patch[r, i] * 255, torch.from_numpy(own).float())
