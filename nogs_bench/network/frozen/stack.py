"""The stack of reference networks that look through one frozen embedder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nogs_bench.network.frozen.embedder import FrozenEmbedder
from nogs_bench.network.model import HardAttentionNet
from nogs_bench.network.reference_stack import ReferenceStack, linear
from nogs_bench.network.stacking import STACKS, Stack


@STACKS.register("frozen")
def frozen_stack(models: Sequence[nn.Module]) -> Stack | None:
    """The stack of reference networks with the same embedder `frozen:SPEC`; None of others."""
    if not all(type(m) is HardAttentionNet and type(m.glimpse) is FrozenEmbedder for m in models):
        return None
    return FrozenStack(models)


class FrozenStack(ReferenceStack):
    """R reference networks; patches of all runs go through the frozen network together."""

    def embed(self, seen: Tensor, location: Tensor) -> Tensor:
        """`seen`: patches float (R, n, c, g, g), or features of them (R, n, width)."""
        net = self.members
        assert isinstance(net.glimpse, FrozenEmbedder)
        if seen.dim() > 3:
            seen = net.glimpse.network(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
        return (linear(seen, net.glimpse.linear) + linear(location, net.location)).relu_()

    def tape(self, side: int) -> None:
        return None
