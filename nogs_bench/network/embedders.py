"""Glimpse embedders: from a patch to the vector that the RNN takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file, read_provenance
from nogs_bench.network.backbones import normalisation, timm_backbone
from nogs_bench.network.weights import check_shapes, load_weights
from nogs_bench.registry import Registry
from nogs_bench.tasks import Task

# (task, units, what follows the name's colon) -> module from patches (n, c, g, g) to (n, units)
EmbedderFactory = Callable[[Task, int, str], nn.Module]
EMBEDDERS: Registry[EmbedderFactory] = Registry("embedder", group="nogs_bench.embedders")
LARGEST_INPUT = 4096


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

    `timm:NAME` starts from random weights, `timm:NAME@FILE.safetensors` from local ones. Colours
    are normalised as the backbone's weights expect. Glimpses
    smaller than the backbone's input (its fixed size, else 32 pixels) are enlarged linearly;
    `timm:NAME/16` and `timm:NAME/16@FILE.safetensors` make the input 16 pixels.
    Raises `NogsError` if timm has no such backbone, it does not take that size, or the weights do
    not load.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        whole, _, weights = argument.partition("@")
        name, _, size = whole.partition("/")
        if size and not (size.isdecimal() and 0 < int(size) <= LARGEST_INPUT):
            raise NogsError(f"the input of {name} is {size!r} pixels; write timm:{name}/16")
        backbone = timm_backbone(name, weights, task.channels, None, 0)
        config = backbone.pretrained_cfg
        fixed: int = config["input_size"][-1] if config.get("fixed_input_size") else 0
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.size = int(size) if size else fixed or max(32, task.glimpse_size)
        if size:
            _check_size(self.backbone, torch.zeros(2, task.channels, self.size, self.size), name)
        # Some backbones have a layer behind the pooling, whose width timm calls the head's.
        features = getattr(backbone, "head_hidden_size", None) or backbone.num_features
        self.linear = nn.Linear(features, units)
        for statistic, values in normalisation(backbone, task.channels).items():
            self.register_buffer(statistic, values, persistent=False)

    def forward(self, patch: Tensor) -> Tensor:
        patch = (patch - self.mean) / self.std
        if patch.shape[-1] != self.size:
            patch = functional.interpolate(patch, (self.size, self.size), mode="bilinear")
        return self.linear(self.backbone(patch.contiguous(memory_format=torch.channels_last)))


def _check_size(backbone: nn.Module, patch: Tensor, name: str) -> None:
    """Raise `NogsError` if a backbone does not take such patches."""
    try:
        with torch.no_grad():
            backbone.eval()(patch)
    except (RuntimeError, AssertionError) as error:
        size = patch.shape[-1]
        raise NogsError(
            f"timm's {name} does not take {size} pixels; write a larger size, as timm:{name}/32: "
            f"{error}"
        ) from error
    backbone.train()


# Of `glimpse_convolutions`; the least side that a convolution may leave, pixels.
GLIMPSE_CHANNELS, LEAST_SIDE = (32, 64, 128), 2


def glimpse_convolutions(channels: int, side: int, units: int) -> nn.Module:
    """From glimpses float (n, channels, side, side), -2 .. 2, to (n, units): three convolutions and
    a linear layer, by which the light AVPs (`patch-sum`, `patch-attention`) look.

    Each convolution halves the side, but for the first one of glimpses of up to 8 pixels.
    """
    layers: list[nn.Module] = []
    inputs = channels
    for number, outputs in enumerate(GLIMPSE_CHANNELS):
        halves = side >= 2 * LEAST_SIDE and (number > 0 or side > 8)
        kernel, stride = (4, 2) if halves else (3, 1)
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, 1), nn.ReLU()]
        side, inputs = (side + 2 - kernel) // stride + 1, outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * side * side, units))


@EMBEDDERS.register("avp")
class AvpEmbedder(nn.Module):
    """How a dataset's AVP looks at a glimpse, then a linear layer: `avp:FOLDER`.

    `FOLDER` is a dataset folder whose posterior is a `patch-sum` or `patch-attention`; the weights
    of its convolutions are where training starts. Raises `NogsError` if there are none, they are
    not the recorded ones, or are of glimpses of another size.
    """

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        path = Path(argument, "posterior", "weights-0.safetensors")
        files = (read_provenance(Path(argument)).get("posterior") or {}).get("files", {})
        recorded = files.get("posterior/weights-0.safetensors")
        if recorded is None:
            raise NogsError(f"{argument} holds no posterior network; build it anew for avp:FOLDER")
        if not path.is_file() or digest_file(path) != recorded:
            raise NogsError(f"{path} is not the file that the dataset records; build it again")
        prefix = "network.look."
        found = {
            name.removeprefix(prefix): value
            for name, value in load_weights(path).items()
            if name.startswith(prefix)
        }
        if not found:
            raise NogsError(f"the AVP of {argument} does not look at glimpses: it is no patch-sum")
        width = len(list(found.values())[-1])
        self.look = glimpse_convolutions(task.channels, task.glimpse_size, width)
        shapes = {name: tuple(value.shape) for name, value in self.look.state_dict().items()}
        check_shapes(found, shapes, path, f"glimpses of {task.glimpse_size} pixels")
        self.look.load_state_dict(found)
        self.linear = nn.Linear(width, units)

    def forward(self, patch: Tensor) -> Tensor:
        return self.linear(self.look(4 * patch - 2).relu())


# Output channels of VGG-16's first 12 convolutions, all but its last; "M" is a 2 x 2 max pool.
VGG_LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@EMBEDDERS.register("vgg16-12")
class VggEmbedder(nn.Module):
    """The first 12 convolutional layers of VGG-16, then a linear layer (section 6, CUB).

    `vgg16-12` starts from random weights; `vgg16-12:FILE.safetensors` from those in a local file
    with timm's names (`features.0.weight`, ...; others are left out); `vgg16-12:timm` from timm's
    ImageNet weights, which it downloads. The paper's were ImageNet's, and are trained on. Colours
    are normalised as for ImageNet; glimpses under 32 pixels are enlarged linearly. Raises
    `NogsError` if the weights are missing or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, task: Task, units: int, argument: str = ""):
        super().__init__()
        layers: list[nn.Module] = []
        channels = task.channels
        for layer in VGG_LAYERS:
            if isinstance(layer, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, layer, 3, padding=1), nn.ReLU(inplace=True)]
                channels = layer
        self.features = nn.Sequential(*layers)
        self.size = max(32, task.glimpse_size)
        self.linear = nn.Linear(channels * (self.size // 16) ** 2, units)
        colour = task.channels == 3
        mean = torch.tensor(IMAGENET_MEAN if colour else (0.0,)).view(1, -1, 1, 1)
        std = torch.tensor(IMAGENET_STD if colour else (1.0,)).view(1, -1, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        if argument:
            self._load(_vgg_weights(argument), argument)

    def forward(self, patch: Tensor) -> Tensor:
        if patch.shape[-1] < self.size:
            patch = functional.interpolate(patch, (self.size, self.size), mode="bilinear")
        return self.linear(self.features((patch - self.mean) / self.std).flatten(1))

    def _load(self, weights: Mapping[str, Tensor], origin: str) -> None:
        wanted = {f"features.{name}" for name in self.features.state_dict()}
        absent = sorted(wanted - set(weights))
        if absent:
            raise NogsError(
                f"weights {origin} have no {absent[0]}; give VGG-16's with timm's names"
            )
        chosen = {name.removeprefix("features."): weights[name] for name in wanted}
        try:
            self.features.load_state_dict(chosen)
        except RuntimeError as error:
            raise NogsError(f"weights {origin} do not fit VGG-16: {error}") from error


def _vgg_weights(origin: str) -> Mapping[str, Tensor]:
    """VGG-16's weights from a local .safetensors file, or timm's own if `origin` is "timm"."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if origin == "timm":
        import timm

        try:
            return timm.create_model("vgg16", pretrained=True).state_dict()
        except (OSError, RuntimeError, ValueError) as error:
            raise NogsError(
                f"timm's vgg16 cannot be downloaded ({error}); give vgg16-12:FILE.safetensors"
            ) from error
    if not Path(origin).is_file():
        raise NogsError(f"weights {origin} of VGG-16 must be an existing .safetensors file")
    try:
        return load_file(origin)
    except (SafetensorError, OSError) as error:
        raise NogsError(f"weights {origin} cannot be read as safetensors: {error}") from error
