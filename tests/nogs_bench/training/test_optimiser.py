"""One flat tensor's Adam against torch's own, for runs with rates of their own."""

from __future__ import annotations

import torch
from torch import nn

from nogs_bench.training.optimiser import FlatAdam

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
