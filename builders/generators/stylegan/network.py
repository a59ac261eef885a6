"""StyleGAN's generator (Karras et al. 2018, arXiv:1812.04948, figure 1b), for inference.

Its weights are held as they act: the equalised learning rate's constants are multiplied in when a
checkpoint is read (`layout.py`), since they differ between public checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    conv2d,
    conv_transpose2d,
    instance_norm,
    interpolate,
    leaky_relu,
    pad,
)

SLOPE = 0.2
FUSED_FROM = 128
BLUR = torch.tensor([1.0, 2.0, 1.0]) / 4


def pixel_norm(x: Tensor) -> Tensor:
    """Each position divided by the root mean square of its channels; (n, channels, ...)."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def blur(x: Tensor) -> Tensor:
    """Each channel filtered by [1, 2, 1] / 4 along both axes; (n, channels, h, w), same size."""
    kernel = torch.outer(BLUR, BLUR).to(x).expand(x.shape[1], 1, 3, 3)
    return conv2d(x, kernel, padding=1, groups=x.shape[1])


def upscaled_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """3 x 3 convolution of `x` (n, in, h, w) at twice its size; `weight` (out, in, 3, 3).

    From 128 pixels on, the public weights were trained with the "fused" form: a transposed
    convolution of stride 2 whose 4 x 4 kernel sums four shifted copies of the weight. It equals
    the plain form with the weight turned by 180 degrees.
    """
    if 2 * x.shape[2] < FUSED_FROM:
        return conv2d(interpolate(x, scale_factor=2), weight, padding=1)
    wide = pad(weight.transpose(0, 1), (1, 1, 1, 1))
    kernel = wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]
    return conv_transpose2d(x, kernel, stride=2, padding=1)


def adaptive_norm(x: Tensor, style: Tensor) -> Tensor:
    """AdaIN (equation 1): each channel normalised over its image, then scaled and shifted.

    `style` is (n, 2 channels): scales, then shifts.
    """
    scale, shift = style[..., None, None].chunk(2, dim=1)
    return scale * instance_norm(x) + shift


class Layer(nn.Module):
    """What follows a convolution: noise, leaky ReLU, AdaIN."""

    def __init__(self, channels: int, latent: int):
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(channels))
        self.style = nn.Linear(latent, 2 * channels)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        x = leaky_relu(x + self.noise[:, None, None] * noise, SLOPE)
        return adaptive_norm(x, self.style(style))


class Block(nn.Module):
    """The two layers of one resolution; the first begins from the block before, at half the size.

    `bias_first`: whether the first convolution's bias is added before the blur or after it.
    """

    def __init__(self, before: int, channels: int, latent: int, bias_first: bool):
        super().__init__()
        self.bias_first = bias_first
        self.up = nn.Conv2d(before, channels, 3, padding=1)
        self.layer1 = Layer(channels, latent)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.layer2 = Layer(channels, latent)

    def forward(self, x: Tensor, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        assert self.up.bias is not None
        x, bias = upscaled_convolution(x, self.up.weight), self.up.bias[:, None, None]
        x = blur(x + bias) if self.bias_first else blur(x) + bias
        x = self.layer1(x, styles[:, 0], noise[0])
        return self.layer2(self.conv(x), styles[:, 1], noise[1])


class FirstBlock(nn.Module):
    """4 x 4: begins from a learned constant."""

    def __init__(self, channels: int, latent: int):
        super().__init__()
        self.constant = nn.Parameter(torch.ones(1, channels, 4, 4))
        self.layer1 = Layer(channels, latent)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.layer2 = Layer(channels, latent)

    def forward(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        x = self.layer1(self.constant, styles[:, 0], noise[0])
        return self.layer2(self.conv(x), styles[:, 1], noise[1])


class StyleGanNetwork(nn.Module):
    """Mapping and synthesis networks.

    **Arguments**

    - `channels`: of each block's layers, from 4 x 4 up; block b has 4 * 2^b pixels a side.
    - `latent`: dimensions of z and w.
    - `mappings`: layers of the mapping network.
    - `bias_first`: see `Block`.
    - `one_noise`: whether both layers of a block get the same noise.
    """

    def __init__(
        self,
        channels: Sequence[int],
        latent: int,
        mappings: int = 8,
        bias_first: bool = False,
        one_noise: bool = False,
    ):
        super().__init__()
        self.channels, self.latent, self.one_noise = tuple(channels), latent, one_noise
        self.mapping = nn.ModuleList(nn.Linear(latent, latent) for _ in range(mappings))
        self.first = FirstBlock(channels[0], latent)
        self.blocks = nn.ModuleList(Block(a, b, latent, bias_first) for a, b in pairwise(channels))
        self.rgb = nn.Conv2d(channels[-1], 3, 1)

    @property
    def size(self) -> int:
        """Side of the images, pixels."""
        return 2 ** (len(self.channels) + 1)

    @property
    def noise_sizes(self) -> list[int]:
        """Side of every layer's noise, pixels."""
        return [4 << (layer // 2) for layer in range(2 * len(self.channels))]

    def map(self, z: Tensor) -> Tensor:
        """w (n, latent) of standard normal z (n, latent)."""
        w = pixel_norm(z)
        for layer in self.mapping:
            w = leaky_relu(layer(w), SLOPE)
        return w

    def synthesise(self, w: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Images (n, 3, size, size), about -1 .. 1.

        - `w`: (n, layers, latent), two layers a block.
        - `noise`: standard normal (n or 1, 1, s, s) for each layer, of `noise_sizes`; where
          `one_noise`, a block's second is not used.
        """
        if self.one_noise:
            noise = [noise[layer - layer % 2] for layer in range(len(noise))]
        x = self.first(w[:, :2], noise[:2])
        for number, block in enumerate(self.blocks, 1):
            rows = slice(2 * number, 2 * number + 2)
            x = block(x, w[:, rows], noise[rows])
        return self.rgb(x)
