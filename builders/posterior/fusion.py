"""Batch norm folded into the layer before it, for networks that only predict from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_FUSE: dict[tuple[type, type], Callable[[Any, Any], nn.Module]] = {
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
}


def fused(network: nn.Module) -> nn.Module:
    """A frozen network in eval mode: a `Sequential` with its batch norms folded in and its ReLUs
    in place; any other network as it is, in eval mode. Equal up to rounding."""
    network.eval().requires_grad_(False)
    if not isinstance(network, nn.Sequential):
        return network
    layers: list[nn.Module] = []
    for layer in network:
        fuse = _FUSE.get((type(layers[-1]), type(layer))) if layers else None
        if fuse:
            layers[-1] = fuse(layers[-1], layer)
        elif isinstance(layer, nn.ReLU):
            layers.append(nn.ReLU(inplace=True))
        elif not isinstance(layer, nn.Dropout):
            layers.append(layer)
    return nn.Sequential(*layers)
