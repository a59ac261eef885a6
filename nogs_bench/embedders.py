"""Glimpse embedders: from a patch to the vector that the RNN takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry
from nogs_bench.task import Task

# (task, units, what follows the name's colon) -> module from patches (n, c, g, g) to (n, units)
EmbedderFactory = Callable[[Task, int, str], nn.Module]
EMBEDDERS: Registry[EmbedderFactory] = Registry("embedder", group="nogs_bench.embedders")


def make_embedder(spec: str, task: Task, units: int) -> nn.Module:
    """The embedder that `spec` names: `NAME` or `NAME:ARGUMENT` of an entry of `EMBEDDERS`.

    It maps patches float (n, channels, g, g) in 0..1 to float (n, units).
    """
    name, _, argument = spec.partition(":")
    return EMBEDDERS[name](task, units, argument)


@EMBEDDERS.register("conv")
class ConvEmbedder(nn.Module):
    """Two convolutions and a linear layer (appendix B.4), for glimpses of any size.

    3 x 3 to 16 channels with stride 1, ReLU, 3 x 3 to 32 with stride 2, ReLU, 2 x 2 max pool,
    linear. Convolutions pad by 1 and the pool keeps a last odd row, so that 4 x 4 glimpses fit.
    """

    def __init__(self, task: Task, units: int, argument: str = ""):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(task.channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ).to(memory_format=torch.channels_last)
        side = -(-task.glimpse_size // 2)
        side = -(-side // 2)
        self.linear = nn.Linear(32 * side * side, units)

    def forward(self, patch: Tensor) -> Tensor:
        patch = patch.contiguous(memory_format=torch.channels_last)
        return self.linear(self.features(patch).flatten(1))


@EMBEDDERS.register("timm")
class TimmEmbedder(nn.Module):
    """Any timm backbone's pooled features, then a linear layer.

    `timm:NAME` starts from random weights, `timm:NAME@FILE.safetensors` from local ones. Glimpses
    smaller than the backbone takes (its fixed input size, else 32 pixels) are enlarged linearly.
    Raises `NogsError` if timm has no such backbone or the weights do not load.
    """

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        import timm

        name, _, weights = argument.partition("@")
        if not timm.is_model(name):
            raise NogsError(f"timm has no backbone {name!r}; write the embedder as timm:NAME")
        if weights and not (weights.endswith(".safetensors") and Path(weights).is_file()):
            raise NogsError(f"weights {weights} of {name} must be an existing .safetensors file")
        options: dict[str, Any] = {"in_chans": task.channels, "num_classes": 0}
        if weights:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}}
        try:
            backbone: Any = timm.create_model(name, **options)
        except (RuntimeError, KeyError, ValueError) as error:
            raise NogsError(f"weights {weights} do not fit timm's {name}: {error}") from error
        config = backbone.pretrained_cfg
        fixed: int = config["input_size"][-1] if config.get("fixed_input_size") else 0
        self.backbone = backbone
        self.size = fixed or max(32, task.glimpse_size)
        self.linear = nn.Linear(backbone.num_features, units)

    def forward(self, patch: Tensor) -> Tensor:
        if patch.shape[-1] != self.size:
            patch = functional.interpolate(patch, (self.size, self.size), mode="bilinear")
        return self.linear(self.backbone(patch))
