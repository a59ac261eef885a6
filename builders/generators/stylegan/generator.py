"""A bank from StyleGAN (Karras et al. 2018), the paper's for CelebA-HQ: `stylegan:FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nogs_bench.builders.generators.generator import (
    GENERATORS,
    Generator,
    Setting,
    required_file,
    split_options,
)
from nogs_bench.builders.generators.pixels import in_blocks, normals, to_images, unlabelled
from nogs_bench.builders.generators.stylegan.layout import read_stylegan
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file
from nogs_bench.images import LabelledImages
from nogs_bench.randomness import torch_generator
from nogs_bench.tasks import Task

BLOCK = 8
CENTRE_SAMPLES = 4096
# How many layers are truncated: the first 8, as Karras et al. (2018, appendix B) and the official
# code do, or all, as rosinality's code does.
TRUNCATED = {"early": 8, "all": None}
HOW = "give a public PyTorch checkpoint as stylegan:FILE (docs/generators.md says which)"


class StyleGan:
    """Unlabelled images of a StyleGAN checkpoint.

    **Arguments**

    - `path`: safetensors or torch checkpoint in a layout of `stylegan.layout.LAYOUTS`.
    - `task`: gives the images' channels and size.
    - `truncation`: psi (Karras et al. 2018, appendix B): how far w may go from its mean; 1 leaves
      it alone, as the authors of the paper did. `truncated`: in which layers, of `TRUNCATED`.
    - `size`: side of the images before they are resized, if less than the checkpoint's.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        device: str,
        truncation: float = 1.0,
        size: int | None = None,
        truncated: str = "early",
    ):
        if truncated not in TRUNCATED:
            raise NogsError(f"truncated must be one of {', '.join(TRUNCATED)}, got {truncated!r}")
        if not 0 <= truncation <= 1:
            raise NogsError(f"truncation must lie in 0..1, got {truncation}")
        self.task, self.device, self.truncation = task, torch.device(device), truncation
        self.truncated = TRUNCATED[truncated]
        network, layout = read_stylegan(path, size)
        self.network = network.to(self.device)
        self.config: Mapping[str, Any] = {
            "generator": "stylegan",
            "weights": digest_file(path),
            "layout": layout,
            "size": network.size,
            "truncation": truncation,
            **({} if truncated == "early" else {"truncated": truncated}),
            "device": self.device.type,
        }
        z = normals((network.latent,), 0, "stylegan-centre", range(CENTRE_SAMPLES))
        self.centre = self.network.map(z.to(self.device)).mean(0)

    def sample(self, seed: int, start: int, count: int) -> LabelledImages:
        """See `Generator.sample`. The noise of each layer is drawn on the device."""
        return in_blocks(start, count, BLOCK, lambda numbers: self._block(seed, numbers))

    @torch.inference_mode()
    def _block(self, seed: int, numbers: range) -> LabelledImages:
        z = normals((self.network.latent,), seed, "stylegan", numbers).to(self.device)
        images = self.network.synthesise(self.styles(z), self._noise(seed, numbers))
        fitted = to_images(images, self.task.channels, self.task.image_size)
        return unlabelled(fitted, len(self.task.labels))

    def styles(self, z: Tensor) -> Tensor:
        """w (n, layers, latent) of z (n, latent), truncated."""
        w = self.network.map(z)[:, None].repeat(1, len(self.network.noise_sizes), 1)
        taken = w[:, : self.truncated]
        w[:, : self.truncated] = self.centre.lerp(taken, self.truncation)
        return w

    def _noise(self, seed: int, numbers: range) -> list[Tensor]:
        streams = [torch_generator(self.device, seed, "stylegan-noise", i) for i in numbers]
        return [
            torch.stack(
                [torch.randn(1, s, s, generator=stream, device=self.device) for stream in streams]
            )
            for s in self.network.noise_sizes
        ]


@GENERATORS.register("stylegan")
def open_stylegan(argument: str, setting: Setting) -> Generator:
    """`stylegan:FILE`, with options `truncation=`, `truncated=` and `size=`."""
    known = {"truncation": float, "truncated": str, "size": int}
    file, options = split_options(argument, known, "stylegan")
    path = required_file(file, f"stylegan:{argument}", HOW)
    return StyleGan(path, setting.task, setting.device, **options)
