"""FineGAN's generator (Singh et al. 2019, arXiv:1811.11155, figure 2), for inference.

A background, a parent's shape over it, and a child's appearance over that. Modules have the names
of the public checkpoint (github.com/kkanshul/finegan), so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FineGanSizes:
    """What a checkpoint's shapes fix.

    - `width`: the unit of all channel counts (64 in the public ones).
    - `noise`: dimensions of z (100). - `parents`, `children`: categories (20 and 200 for CUB).
    - `residual`: residual blocks a stage (2).
    """

    width: int = 64
    noise: int = 100
    parents: int = 20
    children: int = 200
    residual: int = 2

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> FineGanSizes:
        """Read off a checkpoint. Raises `KeyError` or `IndexError` if it is not FineGAN's."""
        width = weights["img_net1_bg.img.0.weight"].shape[1]
        parents = weights["h_net2.jointConv.0.weight"].shape[1] - width
        children = weights["h_net3.jointConv.0.weight"].shape[1] - width // 2
        noise = weights["h_net1_bg.fc.0.weight"].shape[1] - children
        residual = len({name.split(".")[2] for name in weights if name.startswith("h_net2.res")})
        return cls(width, noise, parents, children, residual)


def gated(*layers: nn.Module) -> nn.Sequential:
    """`layers`, then a gated linear unit over channels: half of them times the other's sigmoid."""
    return nn.Sequential(*layers, nn.GLU(dim=1))


def convolution(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


def gated_convolution(before: int, after: int) -> nn.Sequential:
    return gated(convolution(before, 2 * after), nn.BatchNorm2d(2 * after))


def upsample(before: int, after: int) -> nn.Sequential:
    return gated(
        nn.Upsample(scale_factor=2), convolution(before, 2 * after), nn.BatchNorm2d(2 * after)
    )


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.block = nn.Sequential(
            *gated_convolution(channels, channels),
            convolution(channels, channels),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Initial(nn.Module):
    """Features (n, channels / 16, 128, 128) of a one-hot code and noise."""

    def __init__(self, channels: int, inputs: int):
        super().__init__()
        self.channels = channels
        units = channels * 4 * 4 * 2
        self.fc = gated(nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units))
        for step in range(1, 6):
            after = channels // 2 ** min(step, 4)
            self.add_module(f"upsample{step}", upsample(channels // 2 ** (step - 1), after))

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        x = self.fc(torch.cat([code, noise], dim=1)).view(-1, self.channels, 4, 4)
        for step in range(1, 6):
            x = self.get_submodule(f"upsample{step}")(x)
        return x


class Next(nn.Module):
    """Features (n, channels / 2, h, w) of features (n, channels, h, w) and a one-hot code."""

    def __init__(self, channels: int, codes: int, residual: int):
        super().__init__()
        self.jointConv = gated_convolution(channels + codes, channels)
        self.residual = nn.Sequential(*(Residual(channels) for _ in range(residual)))
        self.samesample = gated_convolution(channels, channels // 2)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        spread = code[..., None, None].expand(-1, -1, *x.shape[2:])
        return self.samesample(self.residual(self.jointConv(torch.cat([spread, x], dim=1))))


class Output(nn.Module):
    """A layer of the image, -1 .. 1, or its mask, 0 .. 1."""

    def __init__(self, channels: int, outputs: int, activation: nn.Module):
        super().__init__()
        self.img = nn.Sequential(convolution(channels, outputs), activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.img(x)


class FineGanNetwork(nn.Module):
    """The three stages; call it in eval mode."""

    def __init__(self, sizes: FineGanSizes):
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        self.h_net1_bg = Initial(16 * width, sizes.noise + sizes.children)
        self.img_net1_bg = Output(width, 3, nn.Tanh())
        self.h_net1 = Initial(16 * width, sizes.noise + sizes.parents)
        self.h_net2 = Next(width, sizes.parents, sizes.residual)
        self.img_net2 = Output(width // 2, 3, nn.Tanh())
        self.img_net2_mask = Output(width // 2, 1, nn.Sigmoid())
        self.h_net3 = Next(width // 2, sizes.children, sizes.residual)
        self.img_net3 = Output(width // 4, 3, nn.Tanh())
        self.img_net3_mask = Output(width // 4, 1, nn.Sigmoid())

    def forward(self, noise: Tensor, child: Tensor) -> Tensor:
        """Images (n, 3, 128, 128), -1 .. 1, of z (n, noise) and children's numbers (n,).

        Codes are tied as in training: children are assigned to parents in equal runs, and each
        has a background of its own.
        """
        sizes = self.sizes
        run = sizes.children // sizes.parents
        child_code = nn.functional.one_hot(child, sizes.children).to(noise)
        parent_code = nn.functional.one_hot(child // run, sizes.parents).to(noise)
        image = self.img_net1_bg(self.h_net1_bg(noise, child_code))
        shape = self.h_net2(self.h_net1(noise, parent_code), parent_code)
        image = over(image, self.img_net2(shape), self.img_net2_mask(shape))
        look = self.h_net3(shape, child_code)
        return over(image, self.img_net3(look), self.img_net3_mask(look))


def over(below: Tensor, above: Tensor, mask: Tensor) -> Tensor:
    """`above` where the mask is 1, `below` where it is 0."""
    return above * mask + below * (1 - mask)
