"""Light networks that are given glimpses alone: what each shows, embedded, then put together.

For photographs, on a CPU: a glimpse costs what its few pixels cost, however large the image.
`patch-sum` adds the embeddings up, so that a candidate costs its own embedding and a small head;
`patch-attention` lets them look at each other.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.builders.posterior.glimpse_networks import (
    GLIMPSE_NETWORKS,
    Embed,
    PreparedGlimpses,
    PreparedLogits,
    counts,
)
from nogs_bench.builders.posterior.windows import all_windows
from nogs_bench.errors import NogsError
from nogs_bench.network import glimpse_convolutions
from nogs_bench.tasks import GlimpseGrid

PAIRS_AT_ONCE = {"cpu": 4096}
PAIRS_ON_ACCELERATOR = 65_536
DROPOUT, HEADS = 0.1, 4
_SHAPE = re.compile(r"(\d{1,4})x(\d{1,2})")


class GlimpsePatches(nn.Module, ABC):
    """What `patch-sum` and `patch-attention` share; a `GlimpseNetwork`.

    A glimpse's pixels go through strided convolutions and a linear layer to `width` numbers, to
    which those of its row, its column and its cell are added, and through a residual layer.
    """

    pixels: Tensor

    def __init__(self, grid: GlimpseGrid, channels: int, width: int):
        super().__init__()
        self.grid, self.width = grid, width
        self.look = glimpse_convolutions(channels, grid.glimpse_size, width)
        rows, cols = grid.shape
        self.row, self.col, self.cell = (
            nn.Embedding(count, width) for count in (rows, cols, grid.cells)
        )
        for table, scale in ((self.row, 0.3), (self.col, 0.3), (self.cell, 0.02)):
            nn.init.normal_(table.weight, std=scale)
        self.mix = _Residual(width)
        self.register_buffer("pixels", torch.from_numpy(grid.pixels), persistent=False)

    def forward(self, images: Tensor, cells: Tensor, t: Tensor | None = None) -> Tensor:
        counted = counts(cells, t)
        # What does not count is not computed: under half of a training batch's cells do.
        rows, steps = counted.nonzero(as_tuple=True)
        looked = self.embed(images, rows, cells[rows, steps])
        seen = looked.new_zeros(*cells.shape, looked.shape[1])
        return self.conclude(seen.index_put((rows, steps), looked), counted)

    def prepare(
        self, images: Tensor, prefix: Tensor, observed: Tensor | None = None
    ) -> PreparedLogits:
        return self.prepare_embedded(partial(self.embed, images), prefix)

    def prepare_embedded(self, embed: Embed, prefix: Tensor) -> PreparedLogits:
        """The same, of completions whose glimpses `embed` gives."""
        at_once = PAIRS_AT_ONCE.get(prefix.device.type, PAIRS_ON_ACCELERATOR)
        return PreparedGlimpses(self, embed, prefix, at_once)

    def freeze(self) -> None:
        """Nothing is left to make quicker."""

    def embed(self, images: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, width): images uint8 `rows[i]` seen at `cells[i]`, both int64 (m,)."""
        pixel, across = self.pixels[cells], self.grid.shape[1]
        windows = all_windows(images, self.grid.glimpse_size)
        glimpses = windows[rows, pixel[:, 0], pixel[:, 1]].float().div_(63.75).sub_(2)
        place = self.row(cells // across) + self.col(cells % across) + self.cell(cells)
        embedded: Tensor = self.mix(self.look(glimpses) + place)
        return embedded

    @abstractmethod
    def conclude(self, seen: Tensor, counted: Tensor) -> Tensor:
        """float (n, outputs) of embeddings (n, t, width), of which those count that bool (n, t)
        says."""


@GLIMPSE_NETWORKS.register("patch-sum")
class PatchSum(GlimpsePatches):
    """`patch-sum:256x2`, the default: width, and residual layers after the sum."""

    def __init__(self, grid: GlimpseGrid, channels: int, outputs: int, argument: str):
        width, depth = _shape("patch-sum", argument or "256x2")
        super().__init__(grid, channels, width)
        self.layers = nn.Sequential(*(_Residual(width) for _ in range(depth)))
        self.head = _head(width, outputs)

    def conclude(self, seen: Tensor, counted: Tensor) -> Tensor:
        total = (seen * counted[..., None]).sum(1)
        answer: Tensor = self.head(self.layers(total / counted.sum(1, keepdim=True) ** 0.5))
        return answer


@GLIMPSE_NETWORKS.register("patch-attention")
class PatchAttention(GlimpsePatches):
    """`patch-attention:192x3`, the default: width, and layers of a transformer."""

    def __init__(self, grid: GlimpseGrid, channels: int, outputs: int, argument: str):
        width, depth = _shape("patch-attention", argument or "192x3")
        super().__init__(grid, channels, width)
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, DROPOUT, "gelu", batch_first=True, norm_first=True
        )
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = _head(width, outputs)

    def conclude(self, seen: Tensor, counted: Tensor) -> Tensor:
        tokens = torch.cat([self.first.expand(len(seen), -1, -1), seen], dim=1)
        absent = functional.pad(~counted, (1, 0), value=False)
        answer: Tensor = self.head(self.layers(tokens, src_key_padding_mask=absent)[:, 0])
        return answer


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _head(width: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(DROPOUT), nn.Linear(width, outputs))


def _shape(name: str, argument: str) -> tuple[int, int]:
    shape = _SHAPE.fullmatch(argument)
    width, depth = map(int, shape.groups()) if shape else (0, 0)
    if not width or width % HEADS or not depth:
        raise NogsError(
            f"{name}:{argument}: write its width, a multiple of {HEADS}, and its layers as "
            f"{name}:192x3"
        )
    return width, depth
