"""Completion by a conditional GAN (appendix A.3.1): pix2pix from the glimpses to the image.

The paper tried it and set it aside: its images looked real but, for given glimpses, alike.
`nogs_bench.builders.compare.completions` measures that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, pad

from nogs_bench.builders.completion.kinds import (
    COMPLETIONS,
    Belief,
    Completions,
    Fitting,
    Query,
    generated,
)
from nogs_bench.builders.completion.unet import PatchDiscriminator, UNet
from nogs_bench.files import load_checkpoint, save_checkpoint
from nogs_bench.images import LabelledImages
from nogs_bench.network import require_finite
from nogs_bench.progress import progress_bars
from nogs_bench.randomness import derive, seeded, torch_generator
from nogs_bench.tasks import Task

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class GanSettings:
    """pix2pix's settings, and how long it is trained.

    - `l1_weight`: of the L1 distance to the true image, beside the adversarial loss.
    - `width`: channels of the first layer of both networks.
    """

    steps: int = 2_000
    batch_size: int = 16
    learning_rate: float = 2e-4
    l1_weight: float = 100.0
    width: int = 32


class ConditionalGan:
    """Completions by a U-Net; implements `Completion`.

    Its input is the image in -1 .. 1 with Gaussian noise instead of unobserved pixels, without a
    mask, the side filled up with noise to a power of two; each completion has its own noise.
    """

    support = float("inf")

    def __init__(self, task: Task, network: UNet, device: str):
        self.task, self.network, self.device = task, network, torch.device(device)

    def prior(self, count: int, rng: np.random.Generator) -> Completions:
        shape = (self.task.channels, self.task.image_size, self.task.image_size)
        return self.query(np.zeros(shape, np.uint8)).draw(count, rng)

    def query(self, image: np.ndarray) -> Query:
        return _GanQuery(self, image)

    @torch.inference_mode()
    def complete(self, image: np.ndarray, seen: np.ndarray, count: int, seed: int) -> np.ndarray:
        """uint8 (count, channels, size, size): completions of an image seen where `seen` is true.

        `image`: uint8 (channels, size, size); `seen`: bool (size, size).
        """
        generator = torch_generator(self.device, seed)
        images, mask = (torch.from_numpy(array).to(self.device) for array in (image, seen))
        parts = []
        for start in range(0, count, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, count - start)
            shown, known = images.expand(rows, -1, -1, -1), mask.expand(rows, -1, -1)
            made = self.network(_noisy(shown, known, generator))
            made = made[..., : seen.shape[0], : seen.shape[1]]
            parts.append((made * 255).round().to(torch.uint8).cpu().numpy())
        return np.concatenate(parts)


class _GanQuery:
    def __init__(self, gan: ConditionalGan, image: np.ndarray):
        self.gan, self.image = gan, np.ascontiguousarray(image)
        self.seen = np.zeros(image.shape[-2:], bool)

    def observe(self, cell: int) -> None:
        self.seen |= self.gan.task.grid.masks[cell]

    def draw(
        self, count: int, rng: np.random.Generator, belief: Belief | None = None
    ) -> Completions:
        images = self.gan.complete(self.image, self.seen, count, int(rng.integers(2**62)))
        return generated(images, len(self.gan.task.labels), float(count), sigma=0.0)


def _noisy(images: Tensor, seen: Tensor, generator: torch.Generator) -> Tensor:
    """float (n, channels, side, side) in -1 .. 1 where seen, standard normal elsewhere.

    `images`: uint8 (n, channels, size, size); `seen`: bool (n, size, size); the side is the next
    power of two.
    """
    side = 1 << (images.shape[-1] - 1).bit_length()
    more = (0, side - images.shape[-1], 0, side - images.shape[-2])
    scaled = pad(images.float() / 127.5 - 1, more)
    noise = torch.randn(scaled.shape, generator=generator, device=scaled.device)
    return torch.where(pad(seen, more)[:, None], scaled, noise)


def train_conditional_gan(
    task: Task,
    bank: LabelledImages,
    seed: int,
    device: str,
    settings: GanSettings | None = None,
) -> ConditionalGan:
    """Train on the bank's images, seen at t uniform on 1 .. T locations uniform on the grid."""
    settings = settings or GanSettings()
    with seeded(derive(seed, "conditional-gan")):
        network = _network(task, settings).to(device)
        critic = PatchDiscriminator(task.channels, settings.width).to(device)
    optimizers = [
        torch.optim.Adam(module.parameters(), settings.learning_rate, betas=(0.5, 0.999))
        for module in (network, critic)
    ]
    generator = torch_generator(torch.device(device), seed, "conditional-gan-noise")
    rng = np.random.default_rng([seed, derive("conditional-gan")])
    with progress_bars() as bars:
        bar = bars.add_task("conditional GAN", total=settings.steps, note="")
        for _ in range(settings.steps):
            rows = np.sort(rng.integers(len(bank), size=settings.batch_size))
            images = torch.from_numpy(bank.images[rows]).to(device)
            seen = torch.from_numpy(_random_masks(task, len(rows), rng)).to(device)
            noisy = _noisy(images, seen, generator)
            _step(network, critic, optimizers, noisy, images.float() / 255, settings.l1_weight)
            bars.advance(bar)
    return ConditionalGan(task, network.eval().requires_grad_(False), device)


def _network(task: Task, settings: GanSettings) -> UNet:
    side = 1 << (task.image_size - 1).bit_length()
    return UNet(task.channels, side, settings.width)


def _random_masks(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """bool (count, size, size): t uniform on 1 .. T, locations uniform on the grid."""
    cells = rng.integers(task.grid.cells, size=(count, task.T))
    taken = np.arange(task.T) < rng.integers(1, task.T + 1, size=(count, 1))
    return np.any(task.grid.masks[cells] & taken[:, :, None, None], axis=1)


def _step(
    network: UNet,
    critic: PatchDiscriminator,
    optimizers: Sequence[torch.optim.Optimizer],
    noisy: Tensor,
    images: Tensor,
    l1_weight: float,
) -> None:
    """One update of the discriminator, then one of the generator."""
    made = network(noisy)
    size = images.shape[-1]
    # What was filled up is noise and no part of the image.
    fake, given = made[..., :size, :size], noisy[..., :size, :size]
    real_logits, fake_logits = critic(given, images), critic(given, fake.detach())
    critic_loss = (_bce(real_logits, True) + _bce(fake_logits, False)) / 2
    optimizers[1].zero_grad(set_to_none=True)
    critic_loss.backward()
    optimizers[1].step()
    loss = _bce(critic(given, fake), True) + l1_weight * l1_loss(fake, images)
    optimizers[0].zero_grad(set_to_none=True)
    loss.backward()
    optimizers[0].step()


def _bce(logits: Tensor, real: bool) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class ConditionalGanKind:
    """A conditional GAN trained on the bank's images."""

    stage = "conditional-gan"
    labelled = False
    settings = GanSettings()

    def config(self, task: Task, device: str) -> Mapping[str, Any] | None:
        return asdict(self.settings) | {"grid": asdict(task.grid), "T": task.T, "device": device}

    def make(self, path: Path, fitting: Fitting) -> None:
        gan = train_conditional_gan(
            fitting.task, fitting.bank, fitting.seed, fitting.device, self.settings
        )
        weights = gan.network.state_dict()
        require_finite(weights, "the conditional GAN")
        save_checkpoint(path, {"weights": weights})

    def open(
        self, path: Path | None, task: Task, bank: LabelledImages, device: str
    ) -> ConditionalGan:
        assert path is not None
        network = _network(task, self.settings)
        network.load_state_dict(load_checkpoint(path)["weights"])
        return ConditionalGan(task, network.to(device).eval().requires_grad_(False), device)


COMPLETIONS.add("conditional-gan", ConditionalGanKind())
