"""The reference network's stack: batched matrix products, convolutions of small glimpses included.

On a glimpse of a few pixels a convolution is a small matrix, whose product with all images of a run
costs less than the convolution does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.embedders import ConvEmbedder
from nogs_bench.model import HardAttentionNet
from nogs_bench.stacked_ops import as_matrix, gru, product, rectified_pool
from nogs_bench.stacking import STACKS, Stack

# Greatest side of a glimpse, pixels, whose convolutions are cheaper as matrices.
MATRIX_SIDE = 5


@STACKS.register("reference")
def reference_stack(models: Sequence[nn.Module]) -> Stack | None:
    """The stack of reference networks with the embedder `conv`; None of others."""
    if all(type(m) is HardAttentionNet and type(m.glimpse) is ConvEmbedder for m in models):
        return ReferenceStack(models)
    return None


class ReferenceStack(Stack):
    """R reference networks. What depends on the weights alone is made once after `start`."""

    members: HardAttentionNet

    def start(self, n: int) -> Tensor:
        self._matrices: list[tuple[Tensor, Tensor]] = []
        return self.members.initial.unsqueeze(1).expand(-1, n, -1)

    def embed(self, patch: Tensor, location: Tensor) -> Tensor:
        net = self.members
        assert isinstance(net.glimpse, ConvEmbedder)
        if patch.shape[-1] <= MATRIX_SIDE:
            seen = self._small(net.glimpse, patch)
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

    def _small(self, embedder: ConvEmbedder, patch: Tensor) -> Tensor:
        side, half = patch.shape[-1], -(-patch.shape[-1] // 2)
        first, second = _convolutions(embedder)
        if not self._matrices:
            places = (-(-half // 2)) ** 2
            weight = embedder.linear.weight.unflatten(2, (-1, places)).transpose(2, 3)
            self._matrices = [
                as_matrix(first, side),
                as_matrix(second, side),
                (weight.flatten(2).mT, embedder.linear.bias),
            ]
        one, two, last = self._matrices
        maps = product(patch.movedim(2, 4).flatten(2), *one).relu_()
        return product(rectified_pool(product(maps, *two), half), *last)


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
