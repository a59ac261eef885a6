"""The reference network's glimpses of a few pixels in sequence, with the gradient written out.

Only the state goes from glimpse to glimpse. What becomes of the weights is therefore computed for
all glimpses at once, after the state's own gradient has been followed back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from nogs_bench.embedders import ConvEmbedder
from nogs_bench.stacked_ops import (
    RowProduct,
    as_matrices,
    gru_backward,
    gru_forward,
    pool_backward,
    pool_forward,
    product,
    rectified_pool,
)


@dataclass(frozen=True)
class SmallEmbedder:
    """A stacked `ConvEmbedder` of glimpses `side` x `side` as products.

    `last` (R, inputs, units) and `bias` (R, units) are its linear layer, whose inputs are channels
    last here.
    """

    side: int
    first: list[RowProduct]
    second: list[RowProduct]
    last: Tensor
    bias: Tensor

    @classmethod
    def of(cls, embedder: ConvEmbedder, side: int) -> SmallEmbedder:
        first, second = embedder.features[0], embedder.features[2]
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        places = (-(-side // 4)) ** 2
        weight = embedder.linear.weight.unflatten(2, (-1, places)).transpose(2, 3)
        return cls(
            side,
            as_matrices(first, side, side),
            as_matrices(second, side, 1),
            weight.flatten(2).mT,
            embedder.linear.bias,
        )

    @property
    def half(self) -> int:
        """The side of the second convolution's output."""
        return -(-self.side // 2)

    def __call__(self, patch: Tensor) -> Tensor:
        """float (R, n, units) of patches (R, n, c, side, side)."""
        maps = _rows(self.first, flat(patch)).relu_()
        pooled = rectified_pool(_rows(self.second, maps), self.half)
        return product(pooled, self.last, self.bias)


def flat(patch: Tensor) -> Tensor:
    """Patches (R, n, c, g, g) as (R, n, g g c), channels last."""
    return patch.movedim(2, 4).flatten(2)


def _rows(products: list[RowProduct], x: Tensor) -> Tensor:
    return torch.cat([row(x) for row in products], dim=-1)


class Tape:
    """Glimpses one after another; afterwards, the states with their gradient.

    `inputs`: the weights, with their own gradients' way.
    """

    def __init__(self, small: SmallEmbedder, location: nn.Linear, core: nn.GRUCell, start: Tensor):
        self.small, self.start = small, start
        self.inputs = [
            *(part for row in (*small.first, *small.second) for part in (row.weight, row.bias)),
            *(small.last, small.bias, location.weight, location.bias),
            *(core.weight_ih, core.bias_ih, core.weight_hh, core.bias_hh),
        ]
        self.embedded: list[tuple[Tensor, ...]] = []
        self.stepped: list[tuple[Tensor, ...]] = []

    @torch.no_grad()
    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        """The state after a glimpse, without a gradient."""
        small, (w, b, w_x, b_x, w_h, b_h) = self.small, self.inputs[-6:]
        last, bias = self.small.last, self.small.bias
        x = flat(patch)
        maps = _rows(small.first, x).relu_()
        second = _rows(small.second, maps)
        pooled = pool_forward(second, small.half)
        seen = product(pooled, last, bias + b)
        embedding = torch.baddbmm(seen, location, w.mT).relu_()
        given = product(embedding, w_x.mT, b_x)
        kept = product(state, w_h.mT, b_h)
        after, saved = gru_forward(given, kept, state)
        self.embedded.append((x, location, maps, second, pooled, embedding, state))
        self.stepped.append(saved)
        return after

    def states(self, last: Tensor) -> list[Tensor]:
        """The state before each glimpse and the `last`, with the gradient of all that was seen."""
        begun = [steps[-1] for steps in self.stepped]
        return list(_Replay.apply(self, [*begun, last], self.start, *self.inputs))


class _Replay(Function):
    @staticmethod
    def forward(ctx: Any, tape: Tape, states: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.tape = tape
        ctx.save_for_backward(*inputs)
        return tuple(state.detach() for state in states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tape, (_, *inputs) = ctx.tape, ctx.saved_tensors
        last, _, w, _, w_x, _, w_h, _ = inputs[-8:]
        carried, to_given, to_kept = gradients[-1], [], []
        for saved, own in zip(reversed(tape.stepped), reversed(gradients[:-1]), strict=True):
            given, kept, carried = gru_backward(carried, *saved)
            carried = torch.baddbmm(carried.add_(own), kept, w_h)
            to_given.append(given)
            to_kept.append(kept)
        given, kept = (torch.cat(parts[::-1], dim=1) for parts in (to_given, to_kept))
        parts = (torch.cat(part, dim=1) for part in zip(*tape.embedded, strict=True))
        x, location, maps, second, pooled, embedding, state = parts
        to_embedding = _where_positive(given @ w_x, embedding)
        common = to_embedding.sum(1)
        found: list[Tensor | None] = [
            *(pooled.mT @ to_embedding, common),
            *(to_embedding.mT @ location, common),
            *(given.mT @ embedding, given.sum(1)),
            *(kept.mT @ state, kept.sum(1)),
        ]
        to_second = pool_backward(to_embedding @ last.mT, second, pooled, tape.small.half)
        to_maps = torch.zeros_like(maps)
        second_found = _row_gradients(tape.small.second, maps, to_second, to_maps)
        first_found = _row_gradients(tape.small.first, x, _where_positive(to_maps, maps), None)
        return None, None, carried.sum(1), *first_found, *second_found, *found


def _where_positive(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient of ReLU, of which `output` came."""
    return torch.ops.aten.threshold_backward(gradient, output, 0)


def _row_gradients(
    products: list[RowProduct], x: Tensor, gradient: Tensor, to_x: Tensor | None
) -> list[Tensor]:
    """Gradients of the weight and bias of each; that of x is added to `to_x`."""
    found = []
    for row, own in zip(products, gradient.chunk(len(products), -1), strict=True):
        found += [x[..., row.begin : row.end].mT @ own, own.sum(1)]
        if to_x is not None:
            to_x[..., row.begin : row.end] += own @ row.weight.mT
    return found
