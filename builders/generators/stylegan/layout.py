"""How public PyTorch checkpoints of StyleGAN lay out their weights, and what scales them.

A checkpoint stores parameters of unit variance; the network multiplies each by a constant of its
own (the equalised learning rate of Karras et al. 2017, section 4.1). A layout is a table of the
checkpoint's names, shapes and constants beside the names of `StyleGanNetwork`.
"""

from __future__ import annotations

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
    - `bias_first`: see `stylegan_network.Block`.
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

    `size` (pixels) leaves out the blocks above it, for a checkpoint whose last ones were not yet
    trained. Raises `NogsError` if the file has no known layout, or a tensor is missing or of
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
    channels = [len(weights[layout.first])]
    while (name := layout.block.format(block=len(channels), size=4 << len(channels))) in weights:
        channels.append(len(weights[name]))
    if size is not None:
        sizes = [4 << block for block in range(len(channels))]
        if size not in sizes:
            raise NogsError(
                f"{path} gives images of {', '.join(map(str, sizes))} pixels, not {size}"
            )
        channels = channels[: sizes.index(size) + 1]
    if layout.latent not in weights:
        raise NogsError(f"{path} has no {layout.latent}: its mapping network is missing")
    latent = weights[layout.latent].shape[-1]
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
