"""How public PyTorch checkpoints of StyleGAN lay out their weights, and what scales them.

A checkpoint stores parameters of unit variance; the network multiplies each by a constant of its
own (the equalised learning rate of Karras et al. 2017, section 4.1). A layout is a table of the
checkpoint's names, shapes and constants beside the names of `StyleGanNetwork`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nogs_bench.builders.generators.stylegan.network import StyleGanNetwork
from nogs_bench.errors import NogsError
from nogs_bench.network import check_shapes, load_weights
from nogs_bench.registry import Registry

MAPPINGS = 8
# Parameters of a block that are 0 before it is trained.
AT_ZERO = ("up.bias", "conv.bias", "layer1.noise", "layer2.noise")


@dataclass(frozen=True)
class Entry:
    """One tensor of a checkpoint: its name, its shape, the parameter it is part of, its constant.

    A parameter is the sum of its entries, broadcast. `transposed`: stored (in, out, 3, 3).
    """

    name: str
    shape: tuple[int, ...]
    parameter: str
    gain: float = 1.0
    transposed: bool = False

    def value(self, weights: Mapping[str, Tensor]) -> Tensor:
        stored = weights[self.name].float() * self.gain
        return stored.transpose(0, 1) if self.transposed else stored


Entries = Callable[[tuple[int, ...], int], Iterator[Entry]]


@dataclass(frozen=True)
class Layout:
    """A public layout.

    - `root`: the checkpoint's table of the generator's weights, if it has several tables.
    - `block`: a name in every block, with `{block}` and `{size}` to fill, whose tensor's first
      dimension is the block's channels; block 0 has `first`.
    - `latent`: a name whose tensor's last dimension is that of w.
    - `entries`: the table, for given channels of the blocks and dimensions of w.
    - `bias_first`: see `stylegan.network.Block`.
    - `one_noise`: whether both layers of a block get the same noise.
    - `scale_plus_one`: whether AdaIN's scale is stored less one.
    """

    root: str | None
    first: str
    block: str
    latent: str
    entries: Entries
    bias_first: bool
    one_noise: bool
    scale_plus_one: bool


LAYOUTS: Registry[Layout] = Registry("StyleGAN layout")


def read_stylegan(path: Path, size: int | None = None) -> tuple[StyleGanNetwork, str]:
    """The network of a checkpoint, ready to use, and the name of its layout.

    `size` (pixels) leaves out the blocks above it; without it, those that were never trained are
    left out. Raises `NogsError` if the file has no known layout, or a tensor is missing or of
    another shape.
    """
    weights = load_weights(path, [layout.root for layout in LAYOUTS if layout.root])
    for name in LAYOUTS.names():
        layout = LAYOUTS[name]
        if layout.first in weights:
            return _read(layout, weights, path, size), name
    known = ", ".join(LAYOUTS.names())
    raise NogsError(f"{path} is no StyleGAN checkpoint of a known layout ({known})")


def _read(
    layout: Layout, weights: Mapping[str, Tensor], path: Path, size: int | None
) -> StyleGanNetwork:
    if layout.latent not in weights:
        raise NogsError(f"{path} has no {layout.latent}: its mapping network is missing")
    latent = weights[layout.latent].shape[-1]
    channels = [len(weights[layout.first])]
    while (name := layout.block.format(block=len(channels), size=4 << len(channels))) in weights:
        channels.append(len(weights[name]))
    if size is None:
        channels = _trained(layout, weights, channels, path)
    else:
        sizes = [4 << block for block in range(len(channels))]
        if size not in sizes:
            raise NogsError(
                f"{path} gives images of {', '.join(map(str, sizes))} pixels, not {size}"
            )
        channels = channels[: sizes.index(size) + 1]
    entries = list(layout.entries(tuple(channels), latent))
    check_shapes(weights, {entry.name: entry.shape for entry in entries}, path, "StyleGAN")
    network = StyleGanNetwork(channels, latent, MAPPINGS, layout.bias_first, layout.one_noise)
    parameters = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for entry in entries:
        parameter, value = parameters[entry.parameter], entry.value(weights)
        same = value.numel() == parameter.numel()
        parameter += value.reshape(parameter.shape if same else (1, -1, 1, 1))
    if layout.scale_plus_one:
        for name, parameter in parameters.items():
            if name.endswith("style.bias"):
                parameter[: len(parameter) // 2] += 1
    network.load_state_dict(parameters)
    return network.eval().requires_grad_(False)


def _trained(
    layout: Layout, weights: Mapping[str, Tensor], channels: list[int], path: Path
) -> list[int]:
    """The channels of the blocks up to the last that training has reached.

    Progressive growing (Karras et al. 2017) trains from 4 x 4 up, and a checkpoint may hold all
    blocks from the start. One that was not reached has every bias of its convolutions and every
    gain of its noise where they begin, at 0.
    """
    latent = weights[layout.latent].shape[-1]
    beginnings: list[list[Tensor]] = [[] for _ in channels]
    for entry in layout.entries(tuple(channels), latent):
        owner, _, name = entry.parameter.partition(".")
        number, _, rest = name.partition(".")
        block = int(number) + 1 if owner == "blocks" else 0
        if owner in ("first", "blocks") and (rest if block else name) in AT_ZERO:
            beginnings[block].append(weights.get(entry.name, torch.ones(1)))
    reached = [any(bool((value != 0).any()) for value in each) for each in beginnings]
    if not any(reached) or reached[-1]:
        return channels
    kept = channels[: len(reached) - reached[::-1].index(True)]
    print(
        f"{path}: blocks above {2 << len(kept)} pixels were never trained and are left out; "
        f"size={2 << len(kept)} says so",
        file=sys.stderr,
    )
    return kept
