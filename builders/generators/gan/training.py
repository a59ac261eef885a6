"""Training the small conditional GAN: hinge loss, Adam, an average of the generator's weights."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from nogs_bench.builders.generators.gan.network import GanDiscriminator, GanGenerator, GanSizes
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json, resumed, save_checkpoint
from nogs_bench.images import LabelledImages
from nogs_bench.network import require_finite
from nogs_bench.progress import progress_bars
from nogs_bench.randomness import epoch_order, seeded, torch_generator


@dataclass(frozen=True)
class GanTraining:
    """Hyperparameters; the defaults take about two minutes of one core on Fashion-MNIST.

    - `steps`: updates of the generator, each after one of the discriminator.
    - `decay`: of the average of the generator's weights, which is the generator in the end.
    - `checkpoint_period`: steps between checkpoints.
    """

    steps: int = 2000
    batch_size: int = 32
    width: int = 16
    generator_rate: float = 5e-4
    discriminator_rate: float = 1e-3
    decay: float = 0.995
    checkpoint_period: int = 500


def train_gan(
    images: LabelledImages,
    classes: tuple[int, ...],
    path: Path,
    seed: int = 0,
    settings: GanTraining | None = None,
    device: str = "cpu",
) -> Path:
    """Train on `images`, and write generator and labels to `path` (safetensors).

    Every step's batch and noise depend on (seed, step) alone. What is needed to go on is kept in
    `path` beside a name ending in `.checkpoint`, until it is done; a stopped training that is
    started again with equal arguments gives the same bytes as one that was not.

    **Arguments**

    - `classes`: of each label. Labels must be known; the bank draws them jointly as they come here.

    Raises `NogsError` if an image has no label, or the checkpoint is of another training.
    """
    settings = settings or GanTraining()
    if images.labels.min() < 0:
        raise NogsError("a conditional GAN needs labels, and some of its images have none")
    sizes = GanSizes(images.images.shape[1], images.images.shape[2], classes, settings.width)
    what = {"sizes": asdict(sizes), "training": asdict(settings), "images": images.digest()}
    checkpoint = path.with_name(f".{path.stem}.checkpoint{path.suffix}")
    run = _Run(sizes, settings, images, seed, torch.device(device))
    state = resumed(checkpoint)
    if state is not None:
        run.restore(state, digest_json(what), checkpoint)
    with progress_bars() as bars:
        bar = bars.add_task("GAN", total=settings.steps, completed=run.step, note="")
        while run.step < settings.steps:
            run.update()
            bars.update(bar, completed=run.step)
            if run.step % settings.checkpoint_period == 0:
                save_checkpoint(checkpoint, run.state(digest_json(what)))
    product = run.product()
    require_finite(product["weights"], "the GAN")
    save_checkpoint(path, product)
    checkpoint.unlink(missing_ok=True)
    return path


class _Run:
    """Networks, optimisers and the number of steps done."""

    def __init__(
        self,
        sizes: GanSizes,
        settings: GanTraining,
        images: LabelledImages,
        seed: int,
        device: torch.device,
    ):
        self.sizes, self.settings, self.images = sizes, settings, images
        self.seed, self.device, self.step = seed, device, 0
        with seeded(seed):
            self.generator = GanGenerator(sizes).to(device)
            self.discriminator = GanDiscriminator(sizes).to(device)
        self.average = deepcopy(self.generator).eval().requires_grad_(False)
        self.optimisers = [
            torch.optim.Adam(network.parameters(), rate, betas=(0.0, 0.99))
            for network, rate in (
                (self.generator, settings.generator_rate),
                (self.discriminator, settings.discriminator_rate),
            )
        ]

    def update(self) -> None:
        """One step of the discriminator, then one of the generator (Lim & Ye 2017, hinge)."""
        real, labels = self._batch()
        z = iter(self._noise(2, len(labels)))
        with torch.no_grad():
            fake = self.generator(next(z), labels)
        fool, judge = self.optimisers
        scores = self.discriminator(torch.cat([real, fake]), labels.repeat(2, 1))
        high, low = scores.chunk(2)
        _descend(judge, relu(1 - high).mean() + relu(1 + low).mean())
        _descend(fool, -self.discriminator(self.generator(next(z), labels), labels).mean())
        self._take_average()
        self.step += 1

    def _batch(self) -> tuple[Tensor, Tensor]:
        size = min(self.settings.batch_size, len(self.images))
        epoch, at = divmod(self.step, len(self.images) // size)
        rows = np.sort(epoch_order(len(self.images), self.seed, epoch)[at * size : (at + 1) * size])
        batch = self.images[rows]
        pixels = torch.from_numpy(batch.images).to(self.device).float() / 127.5 - 1
        return pixels, torch.from_numpy(batch.labels).to(self.device)

    def _noise(self, sets: int, n: int) -> Iterator[Tensor]:
        stream = torch_generator(torch.device("cpu"), self.seed, "gan-training", self.step)
        for _ in range(sets):
            yield torch.randn(n, self.sizes.noise, generator=stream).to(self.device)

    @torch.no_grad()
    def _take_average(self) -> None:
        # Rises from zero, so that the untrained weights do not linger.
        decay = min(self.settings.decay, self.step / (self.step + 10))
        ours = self.average.state_dict()
        for name, value in self.generator.state_dict().items():
            if value.is_floating_point():
                ours[name].lerp_(value, 1 - decay)

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "fool": self.optimisers[0],
            "judge": self.optimisers[1],
        }

    def state(self, what: str) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"what": what, "seed": self.seed, "step": self.step, **parts}

    def restore(self, state: dict[str, Any], what: str, path: Path) -> None:
        if (state.get("what"), state.get("seed")) != (what, self.seed):
            raise NogsError(f"{path} is of another training; delete it or give another file")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step = state["step"]

    def product(self) -> dict[str, Any]:
        return {
            "sizes": {**asdict(self.sizes), "classes": list(self.sizes.classes)},
            "weights": self.average.state_dict(),
            "labels": torch.from_numpy(np.ascontiguousarray(self.images.labels)),
        }


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
