"""What a stack computes most often, each as one operation with its gradient written out.

Everything is of R runs: x (R, n, inputs) times weights (R, inputs, outputs).
"""

from __future__ import annotations

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
        units = state.shape[-1]
        gates = (given[..., : 2 * units] + kept[..., : 2 * units]).sigmoid_()
        reset, update = gates.split(units, -1)
        last = kept[..., 2 * units :]
        new = torch.addcmul(given[..., 2 * units :], reset, last).tanh_()
        ctx.save_for_backward(gates, last, new, state)
        return torch.lerp(new, state, update)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        gates, last, new, state = ctx.saved_tensors
        units = state.shape[-1]
        reset, update = gates.split(units, -1)
        to_state = gradient * update
        given = gradient.new_empty(*gradient.shape[:-1], 3 * units)
        kept = torch.empty_like(given)
        slope = torch.addcmul(gates, gates, gates, value=-1)
        to_new = (gradient - to_state).mul_(torch.addcmul(new.new_ones(()), new, new, value=-1))
        both = given[..., : 2 * units]
        torch.mul(to_new, last, out=both[..., :units])
        torch.mul(gradient, state - new, out=both[..., units:])
        both.mul_(slope)
        kept[..., : 2 * units] = both
        given[..., 2 * units :] = to_new
        torch.mul(to_new, reset, out=kept[..., 2 * units :])
        return given, kept, to_state


def log_probability(logits: Tensor, index: Tensor) -> Tensor:
    """As `nogs_bench.policy.log_probability`, of logits (..., cells) that nothing else needs."""
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


def as_matrix(layer: nn.Conv2d, side: int) -> tuple[Tensor, Tensor]:
    """A stacked 3 x 3 convolution that pads by 1, of maps `side` x `side`, as a product.

    Returns its matrices (R, inputs, outputs) and biases (R, outputs); inputs and outputs are row by
    row, column by column, channels last.
    """
    weight = layer.weight
    runs, outputs, inputs = weight.shape[:3]
    taps = _taps(side, layer.stride[0], weight.device)
    places = taps.shape[2]
    assert layer.bias is not None
    spread = weight.reshape(-1, 9) @ taps.flatten(1)
    matrix = spread.view(runs, outputs, inputs, side * side, places).permute(0, 3, 2, 4, 1)
    return matrix.reshape(runs, side * side * inputs, -1), layer.bias.repeat(1, places)


@cache
def _taps(side: int, stride: int, device: torch.device) -> Tensor:
    """float (9, side^2, outputs): 1 where a tap of the kernel joins an input to an output."""
    impulses = torch.eye(side * side).view(-1, 1, side, side)
    kernels = torch.eye(9).view(9, 1, 3, 3)
    joined = functional.conv2d(impulses, kernels, stride=stride, padding=1)
    return joined.flatten(2).transpose(0, 1).contiguous().to(device)


def rectified_pool(x: Tensor, side: int) -> Tensor:
    """ReLU, then 2 x 2 maxima, stride 2, of maps x (R, n, side side channels), channels last.

    A last odd row or column is kept. Of equals, the first has the gradient.
    """
    return _Pool.apply(x, side)


def _corners(x: Tensor, side: int) -> list[Tensor]:
    """Views (R, n, rows, columns, channels) of the four corners of all windows."""
    maps = x.view(*x.shape[:2], side, side, -1)
    return [maps[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]


class _Pool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, side: int) -> Tensor:
        first, *others = _corners(x, side)
        out = x.new_empty(*x.shape[:2], first[0, 0].numel())
        best = out.view(first.shape).copy_(first)
        for corner in others:
            part = best[:, :, : corner.shape[2], : corner.shape[3]]
            torch.maximum(part, corner, out=part)
        ctx.save_for_backward(x, out.relu_())
        ctx.side = side
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        x, out = ctx.saved_tensors
        best = out.view(_corners(x, ctx.side)[0].shape)
        left = (gradient * (out > 0)).view(best.shape)
        to_x = torch.empty_like(x)
        for corner, into in zip(_corners(x, ctx.side), _corners(to_x, ctx.side), strict=True):
            rows, columns = corner.shape[2:4]
            part = left[:, :, :rows, :columns]
            here = corner == best[:, :, :rows, :columns]
            torch.mul(part, here, out=into)
            part.mul_(~here)
        return to_x, None
