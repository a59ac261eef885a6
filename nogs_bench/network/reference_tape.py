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

from nogs_bench.network.embedders import ConvEmbedder
from nogs_bench.network.stacked_ops import (
    RowProduct,
    as_matrices,
    gru_backward,
    gru_forward,
    pool,
    pool_backward,
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
    """`nogs_bench.network.stacking.Stack.tape` of reference networks: R runs' glimpses of n images.

    `inputs`: what a gradient is found of, the products' weights and biases in a fixed order.
    """

    def __init__(self, small: SmallEmbedder, location: nn.Linear, core: nn.GRUCell, start: Tensor):
        self.small, self.start, self.recording = small, start, torch.is_grad_enabled()
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
        small = self.small
        last, bias, w, b, w_x, b_x, w_h, b_h = self.inputs[-8:]
        x = flat(patch)
        maps = _rows(small.first, x).relu_()
        second = _rows(small.second, maps)
        pooled, at = pool(second, small.half)
        pooled.relu_()
        seen = product(pooled, last, bias + b)
        embedding = torch.baddbmm(seen, location, w.mT).relu_()
        given = product(embedding, w_x.mT, b_x)
        kept = product(state, w_h.mT, b_h)
        after, saved = gru_forward(given, kept, state)
        if self.recording:
            self.embedded.append((x, location, maps, second, at, pooled, embedding, state))
            self.stepped.append(saved)
        return after

    def states(self, last: Tensor) -> list[Tensor]:
        """The state before each glimpse and the `last`, with the gradient of all that was seen.

        Of a tape that was made where gradients are disabled, none were kept.
        """
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
        tape, small, inputs = ctx.tape, ctx.tape.small, ctx.saved_tensors[1:]
        last, _, _, _, w_x, _, w_h, _ = inputs[-8:]
        found = [value.new_zeros(value.shape) for value in inputs]
        of_first = 2 * len(small.first)
        of_last, of_bias, of_location, of_place, *of_core = found[-8:]
        carried = gradients[-1]
        for seen, saved, own in zip(
            reversed(tape.embedded), reversed(tape.stepped), reversed(gradients[:-1]), strict=True
        ):
            x, location, maps, second, at, pooled, embedding, state = seen
            given, kept, carried = gru_backward(carried, *saved)
            carried = torch.baddbmm(carried.add_(own), kept, w_h)
            _add(given, embedding, *of_core[:2])
            _add(kept, state, *of_core[2:])
            to_embedding = _where_positive(given @ w_x, embedding)
            _add(to_embedding, location, of_location, of_place)
            of_last.baddbmm_(pooled.mT, to_embedding)
            to_pooled = _where_positive(to_embedding @ last.mT, pooled)
            to_second = pool_backward(to_pooled, second, at, small.half)
            _add_rows(small.second, to_second, maps, found[of_first:-8])
            to_maps = _where_positive(_through_rows(small.second, to_second, maps), maps)
            _add_rows(small.first, to_maps, x, found[:of_first])
        of_bias.copy_(of_place)
        return None, None, carried.sum(1), *found


def _where_positive(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient of ReLU, of which `output` came."""
    return torch.ops.aten.threshold_backward(gradient, output, 0)


def _add(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Add to the gradients of a linear layer's weight and bias what its input x gives."""
    weight.baddbmm_(gradient.mT, x)
    bias.add_(gradient.sum(1))


def _add_rows(products: list[RowProduct], gradient: Tensor, x: Tensor, found: list[Tensor]) -> None:
    """As `_add`, to `found`: weight and bias of each product."""
    parts = gradient.chunk(len(products), -1)
    for row, own, weight, bias in zip(products, parts, found[::2], found[1::2], strict=True):
        weight.baddbmm_(x[..., row.begin : row.end].mT, own)
        bias.add_(own.sum(1))


def _through_rows(products: list[RowProduct], gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient of the products' input x."""
    (first, own), *others = zip(products, gradient.chunk(len(products), -1), strict=True)
    to_x = torch.empty_like(x)
    to_x[..., first.end :].zero_()
    torch.bmm(own, first.weight.mT, out=to_x[..., : first.end])
    for row, own in others:
        to_x[..., row.begin : row.end].baddbmm_(own, row.weight.mT)
    return to_x
