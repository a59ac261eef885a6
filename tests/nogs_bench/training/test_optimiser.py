"""One flat tensor's Adam against torch's own, for runs with rates of their own."""

from __future__ import annotations

import copy

import torch
from torch import nn

from nogs_bench.network.stacking import whole_of
from nogs_bench.training.learner import network_of
from nogs_bench.training.optimiser import FlatAdam
from nogs_bench.training.optimiser import adam as adam_of

RATES = (1e-2, 3e-2, 3e-2)


def _steps(parameters: list[nn.Parameter], optimiser, runs: int | None) -> None:
    """Five steps of whatever gradients, run `runs` of them or all."""
    for step in range(5):
        optimiser.zero_grad()
        generator = torch.Generator().manual_seed(step)
        for parameter in parameters:
            whole = torch.randn(3, *parameter.shape[-1:], generator=generator)
            parameter.grad.copy_(whole if runs is None else whole[runs])
        optimiser.step()


def test_each_run_is_stepped_at_its_own_rate():
    start = [torch.randn(3, 5), torch.randn(3, 70)]
    stacked = [nn.Parameter(value.clone()) for value in start]
    _steps(stacked, FlatAdam(stacked, RATES), None)
    for run, rate in enumerate(RATES):
        alone = [nn.Parameter(value[run].clone()) for value in start]
        for parameter in alone:
            parameter.grad = torch.zeros_like(parameter)
        adam = torch.optim.Adam(alone, lr=rate)
        adam.zero_grad = lambda: None
        _steps(alone, adam, run)
        for own, part in zip(alone, stacked, strict=True):
            torch.testing.assert_close(part[run], own, rtol=1e-4, atol=1e-6)


def test_runs_of_the_greatest_rate_are_the_same_bytes_beside_others():
    start = torch.randn(3, 70)
    found = {}
    for rates in (RATES, (3e-2, 3e-2, 3e-2)):
        parameter = nn.Parameter(start.clone())
        _steps([parameter], FlatAdam([parameter], rates), None)
        found[rates] = parameter.detach()[1:]
    assert torch.equal(*found.values())


def test_what_never_had_a_gradient_goes_on_from_adam_s_own_state():
    """As a run that was alone goes on in a stack."""
    start = [torch.randn(1, 5), torch.randn(1, 70)]
    alone = [nn.Parameter(value[0].clone()) for value in start]
    adam = torch.optim.Adam(alone, lr=1e-2)
    alone[1].grad = torch.ones(70)
    adam.step()
    whole = whole_of([copy.deepcopy(adam.state_dict())], ("step",))
    assert 0 not in whole["state"]
    stacked = [nn.Parameter(value.clone()) for value in start]
    with torch.no_grad():
        stacked[1].copy_(alone[1])
    flat = FlatAdam(stacked, [1e-2])
    flat.load_state_dict(whole)
    for parameter in stacked:
        parameter.grad.fill_(2)
    alone[1].grad.fill_(2)
    flat.step()
    adam.step()
    torch.testing.assert_close(stacked[1][0], alone[1], rtol=1e-4, atol=1e-6)


def test_a_parameter_that_is_a_part_of_another_tensor_is_stepped_as_itself():
    """The fused step on a CPU goes through memory."""
    wide = torch.randn(4, 10)
    found = []
    for value in (wide[:, :3], wide[:, :3].contiguous()):
        model = nn.Linear(3, 4, bias=False)
        model.weight = nn.Parameter(value.clone() if value.is_contiguous() else value)
        model, _ = network_of([model], torch.device("cpu"), stacked=False)
        optimiser = adam_of(list(model.parameters()), [1e-2], False)
        for step in range(3):
            model(torch.full((2, 3), float(step + 1))).square().sum().backward()
            optimiser.step()
        found.append(model.weight.detach())
    assert torch.equal(*found)
