"""Completion by Hamiltonian Monte Carlo in a generator's latent space (appendix A.3.2).

p(z | y_1:t, l_1:t) is proportional to N(z; 0, 1) prod_i N(y_i; f_fovea(G(z), l_i), sigma^2). The
paper tried it with StyleGAN and set it aside: chains stayed in one mode and a sample took about a
minute. Runs on Pyro, the extra `hmc`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.completion.kinds import (
    COMPLETIONS,
    Belief,
    Completions,
    Fitting,
    Query,
    generated,
)
from nogs_bench.builders.completion.latent_generator import (
    Decoder,
    LatentGenerator,
    VaeSettings,
    train_decoder,
)
from nogs_bench.errors import NogsError
from nogs_bench.files import load_checkpoint, save_checkpoint
from nogs_bench.images import LabelledImages
from nogs_bench.network import require_finite
from nogs_bench.randomness import seeded, torch_generator
from nogs_bench.tasks import Task


@dataclass(frozen=True)
class HmcSettings:
    """The paper's likelihood and integration.

    - `sigma`: of the likelihood, pixel values in 0 .. 1; the paper's 0.4 is of values in -1 .. 1.
    - `step_size`, `steps`: of the leapfrog integration; the step size is adapted while warming up.
    - `warmup`: transitions before the first sample.
    """

    sigma: float = 0.2
    step_size: float = 0.05
    steps: int = 200
    warmup: int = 20


class Hmc:
    """Completions from one chain for each draw; implements `Completion`.

    Raises `NogsError` if Pyro is not installed.
    """

    support = float("inf")

    def __init__(
        self,
        task: Task,
        generator: LatentGenerator,
        device: str,
        settings: HmcSettings | None = None,
    ):
        require_pyro()
        self.task, self.generator, self.device = task, generator, torch.device(device)
        self.settings = settings or HmcSettings()

    def prior(self, count: int, rng: np.random.Generator) -> Completions:
        z = _normals(count, self.generator.latent, rng, self.device)
        return self.completions(z, float(count), float("inf"))

    def query(self, image: np.ndarray) -> Query:
        return HmcQuery(self, image)

    @torch.inference_mode()
    def completions(self, z: Tensor, effective_samples: float, sigma: float) -> Completions:
        """The images of latent vectors float (N, latent)."""
        made = torch.cat([self.generator(part) for part in z.split(64)])
        images = (made * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return generated(images, len(self.task.labels), effective_samples, sigma)


class HmcQuery:
    """The posterior over latent vectors of one image."""

    def __init__(self, hmc: Hmc, image: np.ndarray):
        self.hmc = hmc
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(hmc.device)
        self.image = pixels.float() / 255
        # How many glimpses saw each pixel: the likelihood is a product over glimpses.
        self.times = torch.zeros(image.shape[-2:], device=hmc.device)

    def observe(self, cell: int) -> None:
        self.times += torch.from_numpy(self.hmc.task.grid.masks[cell]).to(self.times)

    def draw(
        self, count: int, rng: np.random.Generator, belief: Belief | None = None
    ) -> Completions:
        if not self.times.any():
            return self.hmc.prior(count, rng)
        z = self.latents(count, rng)
        effective = min(float(count), _chain_sample_size(z))
        # A chain's neighbours are alike: whoever takes the first few must not get one mode alone.
        mixed = z[torch.from_numpy(rng.permutation(count)).to(z.device)]
        return self.hmc.completions(mixed, effective, self.hmc.settings.sigma)

    def potential(self, z: Tensor) -> Tensor:
        """-log p(z, y) of a latent vector float (latent,), nats up to a constant."""
        gap = (self.hmc.generator(z[None])[0] - self.image).square() * self.times
        return z.square().sum() / 2 + gap.sum() / (2 * self.hmc.settings.sigma**2)

    def latents(self, count: int, rng: np.random.Generator) -> Tensor:
        """float (count, latent): consecutive states of a chain after its warm-up."""
        start = _normals(1, self.hmc.generator.latent, rng, self.hmc.device)[0]
        return _run_chain(self.potential, start, count, self.hmc.settings, int(rng.integers(2**62)))


def _run_chain(
    potential: Callable[[Tensor], Tensor],
    start: Tensor,
    count: int,
    settings: HmcSettings,
    seed: int,
) -> Tensor:
    from pyro.infer import HMC, MCMC

    kernel = HMC(
        potential_fn=lambda state: potential(state["z"]),
        step_size=settings.step_size,
        num_steps=settings.steps,
    )
    chain = MCMC(
        kernel,
        num_samples=count,
        warmup_steps=settings.warmup,
        initial_params={"z": start},
        disable_progbar=True,
    )
    # Pyro draws from the global generators.
    with seeded(seed, start.device):
        chain.run()
    return chain.get_samples()["z"]


def _chain_sample_size(z: Tensor) -> float:
    """Mean effective sample size, over latent dimensions, of a chain float (N, latent)."""
    from pyro.ops.stats import effective_sample_size

    if len(z) < 2:
        return 1.0
    sizes = effective_sample_size(z[None].double())
    return float(sizes[sizes.isfinite()].mean()) if sizes.isfinite().any() else 1.0


def _normals(count: int, latent: int, rng: np.random.Generator, device: torch.device) -> Tensor:
    generator = torch_generator(device, int(rng.integers(2**62)))
    return torch.randn((count, latent), generator=generator, device=device)


def require_pyro() -> None:
    """Raises `NogsError` if Pyro is not installed."""
    if find_spec("pyro") is None:
        raise NogsError("completion 'hmc' needs Pyro; pip install 'nogs-bench[hmc]'")


class HmcKind:
    """HMC in the latent space of a small generator trained on the bank's images."""

    stage = "decoder"
    labelled = False
    settings = VaeSettings()

    def config(self, task: Task, device: str) -> Mapping[str, Any] | None:
        require_pyro()
        return asdict(self.settings) | {"device": device}

    def make(self, path: Path, fitting: Fitting) -> None:
        decoder = train_decoder(fitting.bank, fitting.seed, fitting.device, self.settings)
        weights = decoder.state_dict()
        require_finite(weights, "the latent generator")
        save_checkpoint(path, {"weights": weights})

    def open(self, path: Path | None, task: Task, bank: LabelledImages, device: str) -> Hmc:
        assert path is not None
        decoder = Decoder(task.channels, task.image_size, self.settings)
        decoder.load_state_dict(load_checkpoint(path)["weights"])
        return Hmc(task, decoder.to(device).eval().requires_grad_(False), device)


COMPLETIONS.add("hmc", HmcKind())
