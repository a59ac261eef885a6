"""Adam for stacked parameters: one tensor holds all, and one operation steps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# A multiple of every vector length: the fused step treats numbers past the last whole vector in
# another way, and which those are would depend on R.
ALIGNED = 64


def adam(
    parameters: Sequence[nn.Parameter], learning_rates: Sequence[float], stacked: bool
) -> torch.optim.Adam | FlatAdam:
    """Adam of one model's parameters or, `stacked`, of many's: a learning rate for each."""
    if stacked:
        return FlatAdam(parameters, learning_rates)
    return _fused(parameters, learning_rates[0])


def moments(optimiser: torch.optim.Adam | FlatAdam) -> list[Tensor]:
    """The tensors that a step changes beside the parameters."""
    inner = optimiser.inner if isinstance(optimiser, FlatAdam) else optimiser
    return [value for state in inner.state.values() for value in state.values()]


def _fused(parameters: Sequence[Tensor], learning_rate: float) -> torch.optim.Adam:
    """Whose steps on a GPU can be recorded."""
    return torch.optim.Adam(
        parameters, lr=learning_rate, fused=True, capturable=parameters[0].is_cuda
    )


class FlatAdam:
    """`torch.optim.Adam` of `parameters`, whose data and gradients become parts of flat tensors.

    Its state has the form of Adam's own, and each number is stepped alike whatever else there is.

    - `learning_rates`: of each run, which the parameters' first dimension counts. Where they
      differ, a run's step is that of the greatest rate times the ratio of the two.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], learning_rates: Sequence[float]):
        self.parameters = list(parameters)
        sizes = [parameter.numel() for parameter in self.parameters]
        padded = [-(-size // ALIGNED) * ALIGNED for size in sizes]
        self._begins = [sum(padded[:number]) for number in range(len(sizes))]
        self.flat = self.parameters[0].new_zeros(sum(padded))
        self.flat.grad = torch.zeros_like(self.flat)
        gradients = self._parts(self.flat.grad)
        for parameter, data, gradient in zip(
            self.parameters, self._parts(self.flat), gradients, strict=True
        ):
            parameter.data = data.copy_(parameter.data)
            parameter.grad = gradient
        greatest = max(learning_rates)
        self.inner = _fused([self.flat], greatest)
        self._ratios: Tensor | None = None
        if len(set(learning_rates)) > 1:
            self._ratios = torch.ones_like(self.flat)
            each = self.flat.new_tensor(learning_rates) / greatest
            for part in self._parts(self._ratios):
                part.copy_(each.view(-1, *[1] * (part.dim() - 1)).expand_as(part))

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        assert self.flat.grad is not None
        self.flat.grad.zero_()

    def step(self) -> None:
        """One step of Adam along the gradients."""
        if self._ratios is None:
            self.inner.step()
            return
        before = self.flat.detach().clone()
        self.inner.step()
        with torch.no_grad():
            self.flat.copy_(torch.lerp(before, self.flat, self._ratios))

    def state_dict(self) -> dict[str, Any]:
        """As Adam's own over the parameters."""
        whole = self.inner.state_dict()
        moments = whole["state"].get(0, {})
        states: dict[int, dict[str, Tensor]] = {n: {} for n in range(len(self.parameters))}
        for name, value in moments.items():
            parts = self._parts(value) if value.dim() else [value] * len(states)
            for number, part in enumerate(parts):
                states[number][name] = part
        groups = [whole["param_groups"][0] | {"params": list(states)}]
        return {"state": states if moments else {}, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of parameters of the same shapes.

        Adam's own has nothing of those that never had a gradient.
        """
        if not state["state"]:
            return
        moments = {}
        for name, value in next(iter(state["state"].values())).items():
            moments[name] = torch.zeros_like(self.flat) if value.dim() else value
            if value.dim():
                for number, part in enumerate(self._parts(moments[name])):
                    if number in state["state"]:
                        part.copy_(state["state"][number][name])
        whole = self.inner.state_dict()
        self.inner.load_state_dict({"state": {0: moments}, "param_groups": whole["param_groups"]})

    def _parts(self, flat: Tensor) -> list[Tensor]:
        """Each parameter's part of a flat tensor, in its own shape."""
        return [
            flat[begin : begin + parameter.numel()].view(parameter.shape)
            for begin, parameter in zip(self._begins, self.parameters, strict=True)
        ]
