"""pix2pix's two networks (Isola et al. 2017): a U-Net and a discriminator of patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST_CHANNELS = 256


class UNet(nn.Module):
    """Images float (n, channels, side, side) to images in 0 .. 1 of the same shape.

    4 x 4 convolutions of stride 2 down to one pixel and as many back, each step up seeing its
    step down; batch norm everywhere but at the two ends. The side must be a power of two.

    **Arguments**

    - `width`: channels after the first convolution; they double up to 256.
    """

    def __init__(self, channels: int, side: int, width: int):
        super().__init__()
        depth = side.bit_length() - 1
        widths = [min(width << level, MOST_CHANNELS) for level in range(depth)]
        inputs, self.down, self.up = [channels, *widths], nn.ModuleList(), nn.ModuleList()
        for level in range(depth):
            norm = nn.BatchNorm2d(widths[level]) if level else nn.Identity()
            conv = nn.Conv2d(inputs[level], widths[level], 4, stride=2, padding=1)
            self.down.append(nn.Sequential(conv, norm, nn.LeakyReLU(0.2)))
        for level in reversed(range(depth)):
            both = widths[level] * (1 if level == depth - 1 else 2)
            outputs = widths[level - 1] if level else channels
            norm = nn.BatchNorm2d(outputs) if level else nn.Identity()
            back = nn.ConvTranspose2d(both, outputs, 4, stride=2, padding=1)
            self.up.append(nn.Sequential(back, norm, nn.ReLU() if level else nn.Sigmoid()))

    def forward(self, images: Tensor) -> Tensor:
        steps = [images]
        for down in self.down:
            steps.append(down(steps[-1]))
        hidden = steps.pop()
        for number, up in enumerate(self.up):
            hidden = up(torch.cat([hidden, steps.pop()], dim=1) if number else hidden)
        return hidden


class PatchDiscriminator(nn.Module):
    """Two images (n, channels, side, side) to logits (n, 1, k, k): is each patch of `second` real,
    given `first`?"""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.layers(torch.cat([first, second], dim=1))
