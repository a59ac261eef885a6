"""What a stack computes most often, each as one operation with its gradient written out.

Everything is of R runs: x (R, n, inputs) times weights (R, inputs, outputs).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional


def product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (R, n, inputs) times weight (R, inputs, outputs) plus bias (R, outputs)."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight)


def gru(given: Tensor, kept: Tensor, state: Tensor) -> Tensor:
    """`nn.GRUCell`'s new state (..., units) from its two products (..., 3 units) and the old."""
    return _Gru.apply(given, kept, state)


class _Gru(Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, kept: Tensor, state: Tensor) -> Tensor:
        after, saved = gru_forward(given, kept, state)
        ctx.save_for_backward(*saved)
        return after

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return gru_backward(gradients[0], *ctx.saved_tensors)


def gru_forward(given: Tensor, kept: Tensor, state: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `gru`, and what `gru_backward` needs of it."""
    units = state.shape[-1]
    gates = (given[..., : 2 * units] + kept[..., : 2 * units]).sigmoid_()
    reset, update = gates.split(units, -1)
    last = kept[..., 2 * units :]
    new = torch.addcmul(given[..., 2 * units :], reset, last).tanh_()
    return torch.lerp(new, state, update), (gates, last, new, state)


def gru_backward(
    gradient: Tensor, gates: Tensor, last: Tensor, new: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `gru`'s three arguments."""
    units = state.shape[-1]
    reset, update = gates.split(units, -1)
    to_new = torch.addcmul(gradient, gradient, update, value=-1)
    to_state = gradient - to_new
    to_new = torch.ops.aten.tanh_backward(to_new, new)
    given = gradient.new_empty(*gradient.shape[:-1], 3 * units)
    kept = torch.empty_like(given)
    both = given[..., : 2 * units]
    torch.mul(to_new, last, out=both[..., :units])
    torch.mul(gradient, state - new, out=both[..., units:])
    torch.ops.aten.sigmoid_backward.grad_input(both, gates, grad_input=both)
    given[..., 2 * units :] = to_new
    kept[..., : 2 * units] = both
    torch.mul(to_new, reset, out=kept[..., 2 * units :])
    return given, kept, to_state


def log_probability(logits: Tensor, index: Tensor) -> Tensor:
    """As `nogs_bench.network.log_probability`, of logits (..., cells) that nothing else needs."""
    return _LogProbability.apply(logits, index)


class _LogProbability(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, index: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        ctx.save_for_backward(log_p, index)
        return log_p.gather(-1, index.unsqueeze(-1)).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].unsqueeze(-1)
        log_p, index = ctx.saved_tensors
        to_logits = log_p.exp().mul_(-gradient)
        return to_logits.scatter_add_(-1, index.unsqueeze(-1), gradient), None


@dataclass(frozen=True)
class RowProduct:
    """The product that makes some rows of a convolution's output.

    Its input is columns `begin` to `end` of the maps: the rows that reach it. `weight` (R, inputs,
    outputs), `bias` (R, outputs).
    """

    begin: int
    end: int
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return product(x[..., self.begin : self.end], self.weight, self.bias)


def as_matrices(layer: nn.Conv2d, side: int, rows: int) -> list[RowProduct]:
    """A stacked 3 x 3 convolution that pads by 1, of maps `side` x `side`, as products.

    Each makes `rows` rows of the output, the last one what is left. Inputs and outputs are row by
    row, column by column, channels last.
    """
    weight, stride = layer.weight, layer.stride[0]
    runs, outputs, inputs = weight.shape[:3]
    kernel = weight.permute(0, 3, 4, 2, 1).reshape(runs, 9, -1)
    taps = _taps(side, stride, weight.device)
    half = taps.shape[2]
    assert layer.bias is not None
    step = side * inputs
    products = []
    for row in range(0, half, rows):
        end = min(half, row + rows)
        first, last = max(0, stride * row - 1), min(side, stride * (end - 1) + 2)
        joined = taps[first:last, :, row:end].reshape(-1, 9)
        blocks = (joined @ kernel).view(runs, -1, (end - row) * half, inputs, outputs)
        matrix = blocks.transpose(2, 3).reshape(runs, -1, (end - row) * half * outputs)
        bias = layer.bias.repeat(1, (end - row) * half)
        products.append(RowProduct(first * step, last * step, matrix, bias))
    return products


@cache
def _taps(side: int, stride: int, device: torch.device) -> Tensor:
    """float (rows, columns, output rows, output columns, 9), for each place of a map and of the
    output: 1 where a tap of the kernel joins the two."""
    impulses = torch.eye(side * side).view(-1, 1, side, side)
    kernels = torch.eye(9).view(9, 1, 3, 3)
    joined = functional.conv2d(impulses, kernels, stride=stride, padding=1)
    return joined.movedim(1, 3).unflatten(0, (side, side)).to(device)


def rectified_pool(x: Tensor, side: int) -> Tensor:
    """ReLU, then 2 x 2 maxima, stride 2, of maps x (R, n, side side channels), channels last.

    A last odd row or column is kept. Of equals, the first has the gradient.
    """
    return pool(x, side)[0].relu_()


def pool(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """`rectified_pool` without ReLU, and for `pool_backward` where the maxima are."""
    found, at = functional.max_pool2d(_maps(x, side), 2, ceil_mode=True, return_indices=True)
    return found.movedim(1, 3).reshape(*x.shape[:2], -1), at


def pool_backward(gradient: Tensor, x: Tensor, at: Tensor, side: int) -> Tensor:
    """The gradient of `pool`'s x."""
    maps = _maps(x, side)
    of_maxima = gradient.reshape(*at.movedim(1, 3).shape).movedim(3, 1)
    to_maps = torch.ops.aten.max_pool2d_with_indices_backward(
        of_maxima, maps, (2, 2), (2, 2), (0, 0), (1, 1), True, at
    )
    return to_maps.movedim(1, 3).reshape(x.shape)


def _maps(x: Tensor, side: int) -> Tensor:
    """Maps (R, n, side side channels) as (R n, channels, side, side)."""
    return x.view(x.shape[0] * x.shape[1], side, side, -1).movedim(3, 1)
