"""Networks behind the attentional variational posterior: masked image and mask to logits.

Each is made by `AVP_NETWORKS[name](channels, image_size, outputs)` and maps float
(n, channels + 1, image_size, image_size) to (n, outputs). `timm:NAME` takes any timm backbone.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry

Factory = Callable[[int, int, int], nn.Module]
AVP_NETWORKS: Registry[Factory] = Registry("AVP network", group="nogs_bench.avp_networks")


@AVP_NETWORKS.register("conv")
def conv(channels: int, image_size: int, outputs: int) -> nn.Module:
    """Three strided convolutions and a hidden layer, for images of up to about 64 pixels."""
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


def _convolution(inputs: int, outputs: int, kernel: int) -> tuple[nn.Module, ...]:
    """Stride 2, batch norm, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=1, bias=False)
    return layer, nn.BatchNorm2d(outputs), nn.ReLU()


def make_network(name: str, channels: int, image_size: int, outputs: int) -> nn.Module:
    """The network called `name`, or the timm backbone that `timm:NAME` names."""
    family, _, backbone = name.partition(":")
    if family != "timm":
        return AVP_NETWORKS[name](channels, image_size, outputs)
    import timm

    if not timm.is_model(backbone):
        raise NogsError(f"timm has no model {backbone!r}; timm.list_models() lists them")
    return timm.create_model(backbone, in_chans=channels + 1, num_classes=outputs)
