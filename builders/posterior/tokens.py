"""A vision transformer that is given the glimpses alone, each as a token or a few.

It costs what was seen: a class token and at most T glimpses, however large the image.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.builders.posterior.glimpse_networks import (
    GLIMPSE_NETWORKS,
    PAIRS_AT_ONCE,
    PreparedGlimpses,
    PreparedLogits,
    counts,
)
from nogs_bench.builders.posterior.windows import all_windows
from nogs_bench.errors import NogsError
from nogs_bench.network import normalisation, timm_backbone
from nogs_bench.tasks import GlimpseGrid


@GLIMPSE_NETWORKS.register("tokens")
class GlimpseTokens(nn.Module):
    """Any of timm's plain vision transformers with a class token; a `GlimpseNetwork`.

    `tokens:NAME` starts from random weights, `tokens:NAME@pretrained` from timm's on the Hub,
    `tokens:NAME@FILE.safetensors` from local ones; those of masked autoencoders were trained on
    visible patches alone, as here. Glimpses are scaled by what scales the image to the size that
    the transformer expects, to a whole number of its patches; the position embedding is sampled
    linearly at each patch's middle. A cell seen again adds no token. Raises `NogsError` for other
    backbones.
    """

    pixels: Tensor
    mean: Tensor
    std: Tensor
    between: Tensor

    def __init__(self, grid: GlimpseGrid, channels: int, outputs: int, argument: str):
        super().__init__()
        name, _, weights = argument.partition("@")
        self.backbone = timm_backbone(name, weights, channels, None, outputs)
        _check(self.backbone, name)
        patch, expected = self.backbone.patch_embed.patch_size[0], self._expected()
        scaled = grid.glimpse_size * expected / grid.image_size
        self.grid, self.side = grid, max(1, round(scaled / patch))
        self.scaled = self.side * patch
        for statistic, values in normalisation(self.backbone, channels).items():
            self.register_buffer(statistic, values, persistent=False)
        self.register_buffer("pixels", torch.from_numpy(grid.pixels), persistent=False)
        self.register_buffer("between", self._between(), persistent=False)

    def _expected(self) -> int:
        return int(self.backbone.patch_embed.img_size[0])

    def forward(self, images: Tensor, cells: Tensor, t: Tensor | None = None) -> Tensor:
        n, steps = cells.shape
        rows = torch.arange(n, device=cells.device).repeat_interleave(steps)
        tokens = self.embed(images, rows, cells.flatten()).unflatten(0, (n, steps))
        return self.conclude(tokens, counts(cells, t))

    def prepare(
        self, images: Tensor, prefix: Tensor, observed: Tensor | None = None
    ) -> PreparedLogits:
        return PreparedGlimpses(self, partial(self.embed, images), prefix, PAIRS_AT_ONCE)

    def freeze(self) -> None:
        self.backbone.eval()

    def embed(self, images: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, tokens of a glimpse, width): images uint8 `rows[i]` seen at `cells[i]`."""
        grid, backbone = self.grid, self.backbone
        pixel = self.pixels[cells]
        windows = all_windows(images, grid.glimpse_size)
        glimpses = windows[rows, pixel[:, 0], pixel[:, 1]].float().div_(255)
        glimpses = (glimpses - self.mean) / self.std
        if glimpses.shape[-1] != self.scaled:
            size = (self.scaled, self.scaled)
            glimpses = functional.interpolate(glimpses, size, mode="bilinear", antialias=True)
        patches = backbone.patch_embed.proj(glimpses).flatten(2).transpose(1, 2)
        return backbone.patch_embed.norm(patches) + self._positions()[cells]

    def _positions(self) -> Tensor:
        """float (cells, tokens of a glimpse, width): the position embedding where each patch is."""
        backbone = self.backbone
        first = 0 if backbone.no_embed_class else backbone.num_prefix_tokens
        return self.between @ backbone.pos_embed[0, first:]

    def _between(self) -> Tensor:
        """float (cells, tokens of a glimpse, positions): how much each of the embedding's positions
        counts where a patch is. As a product, for a GPU adds up the gradient of `grid_sample` in
        another order each time."""
        grid, (rows, cols) = self.grid, self.backbone.patch_embed.grid_size
        line = (torch.arange(self.side) + 0.5) / self.side
        inside = torch.stack(torch.meshgrid(line, line, indexing="ij"), dim=-1).flatten(0, 1)
        middle = (self.pixels[:, None] + inside * grid.glimpse_size) / grid.image_size
        at = (2 * middle - 1).flip(-1)[None]
        each = torch.eye(rows * cols).view(1, -1, rows, cols)
        sampled = functional.grid_sample(each, at, padding_mode="border", align_corners=False)
        return sampled[0].permute(1, 2, 0).contiguous()

    def conclude(self, tokens: Tensor, counted: Tensor) -> Tensor:
        """float (n, outputs) of glimpses' tokens, (n, T, tokens of a glimpse, width), of which
        those count that bool (n, T) says."""
        backbone, n = self.backbone, len(tokens)
        own = [token for token in (backbone.cls_token, backbone.reg_token) if token is not None]
        first = torch.cat(own, dim=1)
        if not backbone.no_embed_class:
            first = first + backbone.pos_embed[:, : first.shape[1]]
        x = torch.cat([first.expand(n, -1, -1), tokens.flatten(1, 2)], dim=1)
        x = backbone.norm_pre(backbone.pos_drop(x))
        mask = None
        if not counted.all():
            given = counted.repeat_interleave(tokens.shape[2], dim=1)
            given = functional.pad(given, (first.shape[1], 0), value=True)
            mask = torch.zeros_like(given, dtype=x.dtype).masked_fill(~given, -torch.inf)
            mask = mask[:, None, None]
        for block in backbone.blocks:
            x = block(x, attn_mask=mask)
        x = backbone.fc_norm(backbone.norm(x)[:, 0])
        return backbone.head(backbone.head_drop(x))


def _check(backbone: Any, name: str) -> None:
    from timm.models.vision_transformer import VisionTransformer

    if not (
        isinstance(backbone, VisionTransformer)
        and backbone.cls_token is not None
        and backbone.pos_embed is not None
        and backbone.attn_pool is None
    ):
        raise NogsError(
            f"tokens:{name}: not a plain vision transformer with a class token and a learned "
            "position embedding; choose such a one (vit_small_patch16_224), or timm:NAME"
        )
