"""The reference network's stack: batched matrix products, convolutions of small glimpses included.

On a glimpse of a few pixels a convolution is a small matrix, whose product with all images of a run
costs less than the convolution does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.network.embedders import ConvEmbedder
from nogs_bench.network.model import HardAttentionNet
from nogs_bench.network.reference_tape import SmallEmbedder, Tape
from nogs_bench.network.stacked_ops import gru, product
from nogs_bench.network.stacking import STACKS, Stack

# Greatest side of a glimpse, pixels, whose convolutions are cheaper as matrices: on a CPU, a GPU.
MATRIX_SIDE = 6
GPU_MATRIX_SIDE = 10


@STACKS.register("reference")
def reference_stack(models: Sequence[nn.Module]) -> Stack | None:
    """The stack of reference networks with the embedder `conv`; None of others."""
    if all(type(m) is HardAttentionNet and type(m.glimpse) is ConvEmbedder for m in models):
        return ReferenceStack(models)
    return None


class ReferenceStack(Stack):
    """R reference networks. What depends on the weights alone is made once after `start`."""

    members: HardAttentionNet
    _made: SmallEmbedder | None = None
    _made_of: object = None

    def start(self, n: int) -> Tensor:
        if self._weights() != self._made_of:
            self._made, self._made_of = None, self._weights()
        return self.members.initial.unsqueeze(1).expand(-1, n, -1)

    def embed(self, patch: Tensor, location: Tensor) -> Tensor:
        net = self.members
        assert isinstance(net.glimpse, ConvEmbedder)
        if patch.shape[-1] <= self._matrix_side:
            seen = self._small(patch.shape[-1])(patch)
        else:
            features = _grouped if patch.is_cuda else _one_by_one
            seen = linear(features(net.glimpse, patch), net.glimpse.linear)
        return (seen + linear(location, net.location)).relu_()

    def step(self, state: Tensor, embedding: Tensor) -> Tensor:
        core = self.members.core
        given = product(embedding, core.weight_ih.mT, core.bias_ih)
        kept = product(state, core.weight_hh.mT, core.bias_hh)
        return gru(given, kept, state)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return self.step(state, self.embed(patch, location))

    def locate(self, state: Tensor) -> Tensor:
        first, _, last = self.members.locator
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        return linear(linear(state, first).relu_(), last)

    def classify(self, state: Tensor) -> Tensor:
        return linear(state, self.members.classifier)

    def tape(self, side: int) -> Tape | None:
        """Of glimpses whose convolutions are matrices."""
        if side > self._matrix_side:
            return None
        net = self.members
        return Tape(self._small(side), net.location, net.core, net.initial)

    @property
    def _matrix_side(self) -> int:
        return GPU_MATRIX_SIDE if self.members.initial.is_cuda else MATRIX_SIDE

    def _weights(self) -> object:
        """Equal as long as a frozen embedder's weights are; new each time while they train."""
        weights = list(self.members.glimpse.parameters())
        if any(weight.requires_grad for weight in weights):
            return object()
        return [(weight.data_ptr(), weight._version) for weight in weights]

    def _small(self, side: int) -> SmallEmbedder:
        """The embedder of small glimpses, made once for the weights as they are."""
        if self._made is None:
            assert isinstance(self.members.glimpse, ConvEmbedder)
            self._made = SmallEmbedder.of(self.members.glimpse, side)
        return self._made


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """x (R, n, inputs) through a stacked linear layer."""
    return product(x, layer.weight.mT, layer.bias)


def _convolutions(embedder: ConvEmbedder) -> tuple[nn.Conv2d, nn.Conv2d]:
    first, second = embedder.features[0], embedder.features[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    return first, second


def _grouped(embedder: ConvEmbedder, patch: Tensor) -> Tensor:
    """Features (R, n, ...) by grouped convolutions, which suit a GPU."""
    runs, n = patch.shape[:2]
    x = patch.transpose(0, 1).flatten(1, 2)
    for layer in _convolutions(embedder):
        assert layer.bias is not None
        weight, bias = layer.weight.flatten(0, 1), layer.bias.flatten()
        x = functional.conv2d(x, weight, bias, layer.stride, padding=1, groups=runs).relu_()
    x = functional.max_pool2d(x, 2, ceil_mode=True)
    return x.view(n, runs, -1).transpose(0, 1)


def _one_by_one(embedder: ConvEmbedder, patch: Tensor) -> Tensor:
    """Features (R, n, ...) by each run's convolutions in turn, which suit a CPU."""
    first, second = _convolutions(embedder)
    assert first.bias is not None
    assert second.bias is not None
    parts = [part.unbind() for part in (first.weight, first.bias, second.weight, second.bias)]
    found = []
    for x, *weights in zip(patch, *parts, strict=True):
        x = x.contiguous(memory_format=torch.channels_last)
        x = functional.conv2d(x, weights[0], weights[1], padding=1).relu_()
        x = functional.conv2d(x, weights[2], weights[3], stride=2, padding=1).relu_()
        found.append(functional.max_pool2d(x, 2, ceil_mode=True).flatten(1))
    return torch.stack(found)
