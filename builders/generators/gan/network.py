"""A small conditional GAN for small images: convolutions, labels by embedding and projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2


@dataclass(frozen=True)
class GanSizes:
    """- `channels`, `size`: of the images.
    - `classes`: of each label; an image has all of them at once.
    - `width`: channels of the widest features but one. - `noise`: dimensions of z.
    """

    channels: int
    size: int
    classes: tuple[int, ...]
    width: int = 16
    noise: int = 64

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> GanSizes:
        """From its `asdict`."""
        return cls(**{**record, "classes": tuple(record["classes"])})


class Labels(nn.Module):
    """float (n, width): the sum of an embedding for each label, of int64 labels (n, labels)."""

    def __init__(self, classes: Sequence[int], width: int):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, width) for count in classes)

    def forward(self, labels: Tensor) -> Tensor:
        return torch.stack([table(labels[:, j]) for j, table in enumerate(self.tables)]).sum(0)


class GanGenerator(nn.Module):
    """Images (n, channels, size, size) in -1 .. 1 of z (n, noise) and labels (n, labels)."""

    def __init__(self, sizes: GanSizes):
        super().__init__()
        self.sizes = sizes
        width, self.side = sizes.width, -(-sizes.size // 4)
        self.labels = Labels(sizes.classes, sizes.noise)
        self.start = nn.Linear(2 * sizes.noise, 4 * width * self.side**2, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, sizes.channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        x = self.start(torch.cat([z, self.labels(labels)], dim=1))
        images = self.body(x.view(len(z), -1, self.side, self.side))
        return images[..., : self.sizes.size, : self.sizes.size]


class GanDiscriminator(nn.Module):
    """Scores (n,), higher for real, of images and labels (Miyato & Koyama 2018, projection).

    Spectral normalisation bounds every layer's slope (Miyato et al. 2018).
    """

    def __init__(self, sizes: GanSizes):
        super().__init__()
        width = sizes.width
        widths = [sizes.channels, width, 2 * width, 4 * width]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, 2, 1)) for before, after in pairwise(widths)
        )
        self.score = spectral_norm(nn.Linear(4 * width, 1))
        self.labels = Labels(sizes.classes, 4 * width)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        x = images
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE)
        features = x.mean((2, 3))
        return self.score(features)[:, 0] + (features * self.labels(labels)).sum(1)
