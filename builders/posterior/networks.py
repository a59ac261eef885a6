"""Networks behind the attentional variational posterior: masked image and mask to logits.

Each is made by `AVP_NETWORKS[name](channels, image_size, outputs, argument)`, `argument` being
what follows the colon of a task's `NAME:ARGUMENT`, and maps float
(n, channels + 1, image_size, image_size) to (n, outputs). The last channel is the mask, 1 where a
pixel was observed; the others are in 0 .. 1, and 0 where it was not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file
from nogs_bench.network import normalisation, timm_backbone
from nogs_bench.registry import Registry, nothing_after

Factory = Callable[[int, int, int, str], nn.Module]
AVP_NETWORKS: Registry[Factory] = Registry("AVP network", group="nogs_bench.avp_networks")
LEAST_SIDE = 32
_FUSE: dict[tuple[type, type], Callable[[Any, Any], nn.Module]] = {
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
}
_CONVOLUTION = re.compile(r"(\d{1,5})k(\d{1,3})s(\d{1,3})(?:p(\d{1,3}))?")


def make_network(
    spec: str, channels: int, image_size: int, outputs: int, weights: bool = True
) -> nn.Module:
    """The network that `spec` names: `NAME` or `NAME:ARGUMENT` of an entry of `AVP_NETWORKS`.

    Without `weights`, an argument's `@WEIGHTS` is left out: the network is about to get others.
    """
    name, _, argument = spec.partition(":")
    argument = argument if weights else argument.partition("@")[0]
    return AVP_NETWORKS[name](channels, image_size, outputs, argument)


def keyed(spec: str) -> str:
    """`spec`, with the sha256 of a file of weights instead of its path."""
    network, _, weights = spec.partition("@")
    path = Path(weights)
    own = path.suffix == ".safetensors" and path.is_file()
    return f"{network}@{digest_file(path)}" if own else spec


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


@AVP_NETWORKS.register("conv")
def conv(channels: int, image_size: int, outputs: int, argument: str = "") -> nn.Module:
    """Three strided convolutions and a hidden layer, for images of up to about 64 pixels."""
    nothing_after("AVP network", "conv", argument)
    side = image_size
    for kernel in (4, 3, 3):
        side = (side + 2 - kernel) // 2 + 1
    return nn.Sequential(
        *_convolution(channels + 1, 32, kernel=4),
        *_convolution(32, 64, kernel=3),
        *_convolution(64, 128, kernel=3),
        nn.Flatten(),
        nn.Linear(128 * side * side, 256, bias=False),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, outputs),
    )


@AVP_NETWORKS.register("local")
def local(channels: int, image_size: int, outputs: int, argument: str = "") -> nn.Module:
    """Few small convolutions and a hidden layer of all their features, as cheap as it is local.

    What a glimpse changes stays a small window of each layer, so that `Windows` makes candidates
    many times cheaper than the whole network. `local:16k4s2p1-32k3s2p1-256`, which is the default,
    says for each convolution its channels, kernel, stride and padding (0 if left out), then the
    hidden units. Strides that divide the grid's steps keep windows small and their content alike.
    """
    *convolutions, hidden = (argument or "16k4s2p1-32k3s2p1-256").split("-")
    shapes = [_CONVOLUTION.fullmatch(part) for part in convolutions]
    layers: list[nn.Module] = []
    side, inputs = image_size, channels + 1
    for shape in shapes:
        width, kernel, stride, padding = (int(x or 0) for x in shape.groups()) if shape else [0] * 4
        side = (side + 2 * padding - kernel) // stride + 1 if stride and width and kernel else 0
        if side < 1:
            break
        layers += _convolution(inputs, width, kernel, stride, padding)
        inputs = width
    if not layers or side < 1 or not hidden.isdecimal() or not int(hidden):
        raise NogsError(
            f"local:{argument}: no network for {image_size} pixels; write its convolutions and "
            "hidden units as local:16k4s2p1-32k3s2p1-256"
        )
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(inputs * side * side, int(hidden), bias=False),
        nn.BatchNorm1d(int(hidden)),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(int(hidden), outputs),
    )


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 2, padding: int = 1
) -> tuple[nn.Module, ...]:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return layer, nn.BatchNorm2d(outputs), nn.ReLU()


@AVP_NETWORKS.register("timm")
class TimmNetwork(nn.Module):
    """Any timm backbone, the mask as a further input channel (appendix B.1).

    `timm:NAME` starts from random weights, `timm:NAME@pretrained` from timm's on the Hub,
    `timm:NAME@FILE.safetensors` from local ones; only the last layer is new. The mask's weights
    start at zero, so that the network begins as the one that was trained. Observed pixels are
    normalised as the weights expect, unobserved ones are 0 after that. Images smaller than 32
    pixels are enlarged linearly. Raises `NogsError` if timm has no such backbone, its weights
    cannot be had or do not fit, or its first layer is no plain convolution.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, image_size: int, outputs: int, argument: str):
        super().__init__()
        name, _, weights = argument.partition("@")
        self.size = max(LEAST_SIDE, image_size)
        self.backbone = timm_backbone(name, weights, channels, self.size, outputs)
        _add_mask_channel(self.backbone, name)
        for statistic, values in normalisation(self.backbone, channels).items():
            self.register_buffer(statistic, values, persistent=False)

    def forward(self, masked: Tensor) -> Tensor:
        pixels, seen = masked[:, :-1], masked[:, -1:]
        inputs = torch.cat([(pixels - self.mean * seen) / self.std, seen], dim=1)
        if inputs.shape[-1] != self.size:
            inputs = functional.interpolate(inputs, (self.size, self.size), mode="bilinear")
        return self.backbone(inputs)


def _add_mask_channel(backbone: nn.Module, name: str) -> None:
    """Give the first convolution one more input channel, its weights zero."""
    first = cast(Any, backbone).pretrained_cfg.get("first_conv")
    layer = backbone.get_submodule(first) if isinstance(first, str) else None
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1:
        raise NogsError(f"timm's {name} does not begin with a plain convolution; choose another")
    weight = layer.weight.detach()
    layer.weight = nn.Parameter(torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1))
    layer.in_channels += 1
