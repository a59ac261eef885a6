"""A small generator with a latent space: the decoder of a variational auto-encoder.

Stands in for StyleGAN where Hamiltonian Monte Carlo needs a p(I) = p(z) p(I | z) that can be
differentiated (appendix A.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nogs_bench.images import LabelledImages
from nogs_bench.progress import progress_bars
from nogs_bench.randomness import derive, seeded, torch_generator


class LatentGenerator(Protocol):
    """Any differentiable map from a standard normal latent vector to an image."""

    latent: int

    def __call__(self, z: Tensor) -> Tensor:
        """float (n, latent) to images float (n, channels, size, size), nominally in 0 .. 1."""
        ...


@dataclass(frozen=True)
class VaeSettings:
    """Sizes and training.

    - `noise`: standard deviation of a pixel about the decoded one, pixel values in 0 .. 1.
    """

    latent: int = 16
    width: int = 16
    noise: float = 0.1
    steps: int = 2_000
    batch_size: int = 32
    learning_rate: float = 1e-3


class Decoder(nn.Module):
    """Latent vectors to images: from a quarter of the side, doubled twice; a `LatentGenerator`."""

    def __init__(self, channels: int, image_size: int, settings: VaeSettings):
        super().__init__()
        self.latent, width = settings.latent, settings.width
        half = -(-image_size // 2)
        quarter = -(-half // 2)
        self.sizes = (half, image_size)
        self.start = nn.Sequential(
            nn.Linear(settings.latent, 2 * width * quarter**2),
            nn.SiLU(),
            nn.Unflatten(1, (2 * width, quarter, quarter)),
        )
        self.convs = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.SiLU()),
                nn.Sequential(nn.Conv2d(width, channels, 3, padding=1), nn.Sigmoid()),
            ]
        )

    def forward(self, z: Tensor) -> Tensor:
        hidden = self.start(z)
        for size, conv in zip(self.sizes, self.convs, strict=True):
            hidden = conv(interpolate(hidden, (size, size), mode="nearest"))
        return hidden


def train_decoder(
    images: LabelledImages, seed: int, device: str, settings: VaeSettings | None = None
) -> Decoder:
    """The decoder of a VAE (Kingma & Welling 2014) trained on images (n, channels, size, size)."""
    settings = settings or VaeSettings()
    _, channels, size, _ = images.images.shape
    with seeded(derive(seed, "vae")):
        decoder = Decoder(channels, size, settings).to(device)
        encoder = nn.Sequential(
            nn.Conv2d(channels, settings.width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(settings.width, 2 * settings.width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.LazyLinear(2 * settings.latent),
        )
        encoder(torch.zeros(1, channels, size, size))  # made here, of the seeded randomness
        encoder.to(device)
    parameters = [*decoder.parameters(), *encoder.parameters()]
    optimizer = torch.optim.Adam(parameters, settings.learning_rate)
    generator = torch_generator(torch.device(device), seed, "vae-noise")
    rng = np.random.default_rng([seed, derive("vae")])
    with progress_bars() as bars:
        bar = bars.add_task("latent generator", total=settings.steps, note="")
        for _ in range(settings.steps):
            rows = np.sort(rng.integers(len(images), size=settings.batch_size))
            real = torch.from_numpy(images.images[rows]).to(device).float() / 255
            mean, log_scale = encoder(real).chunk(2, dim=1)
            draw = torch.randn(mean.shape, generator=generator, device=mean.device)
            made = decoder(mean + log_scale.exp() * draw)
            error = (made - real).square().sum((1, 2, 3)) / (2 * settings.noise**2)
            divergence = (mean.square() + (2 * log_scale).exp() - 1).sum(1) / 2 - log_scale.sum(1)
            optimizer.zero_grad(set_to_none=True)
            (error + divergence).mean().backward()
            optimizer.step()
            bars.advance(bar)
    return decoder.eval().requires_grad_(False)
