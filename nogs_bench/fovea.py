"""Running a model over images: what it sees, where it looks, what it concludes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nogs_bench.geometry import GlimpseGrid, extract
from nogs_bench.images import LabelledImages
from nogs_bench.model import GlimpseModel
from nogs_bench.policy import sample
from nogs_bench.task import Task


@dataclass(frozen=True)
class ImageTensors:
    """A split on a device, for one target: images uint8 (n, c, h, w), labels int64 (n,)."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: LabelledImages, task: Task, device: torch.device) -> ImageTensors:
        labels = torch.from_numpy(split.labels[:, task.target].copy())
        return cls(torch.from_numpy(split.images).to(device), labels.to(device))

    def __len__(self) -> int:
        return len(self.labels)


class Fovea:
    """f_fovea(I, l): from images and location indices to what a model takes.

    Pixels become float, divided by 255, after the glimpse is cut out.
    """

    def __init__(self, grid: GlimpseGrid, device: torch.device):
        self.size = grid.glimpse_size
        self.pixels = torch.from_numpy(grid.pixels).to(device)
        self.locations = torch.from_numpy(grid.pixel_to_normalised(grid.pixels)).to(device)

    def __call__(self, images: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Patches float (n, c, g, g) in 0..1 and locations float (n, 2) in -1..1, for images uint8
        (n, c, h, w) and location indices int64 (n,)."""
        pixels = self.pixels.index_select(0, cells)
        patch = extract(images, pixels, self.size).to(torch.float32).mul_(1 / 255)
        return patch, self.locations.index_select(0, cells)


@dataclass(frozen=True)
class Rollout:
    """A model's T glimpses of n images.

    - `states`: T tensors (n, ...), the state each location was chosen from.
    - `cells`: int64 (T, n), the location indices.
    - `class_logits`: float (n, classes), after the last glimpse.
    """

    states: list[Tensor]
    cells: Tensor
    class_logits: Tensor


def roll_out(
    model: GlimpseModel,
    fovea: Fovea,
    images: Tensor,
    uniform: Tensor,
    fixed: Tensor | None = None,
) -> Rollout:
    """Let the model choose its glimpses of `images` uint8 (n, c, h, w).

    **Arguments**

    - `uniform`: float (T, n) in [0, 1), the randomness of the choices.
    - `fixed`: int64 (T, n) location indices that are taken instead; -1 leaves the choice.
    """
    state = model.start(len(images))
    states, chosen = [], []
    for t, draw in enumerate(uniform):
        with torch.no_grad():
            cells = sample(model.locate(state), draw)
            if fixed is not None:
                cells = torch.where(fixed[t] >= 0, fixed[t], cells)
        states.append(state)
        chosen.append(cells)
        state = model.look(state, *fovea(images, cells))
    return Rollout(states, torch.stack(chosen), model.classify(state))


def follow(model: Any, fovea: Fovea, images: Tensor, cells: Tensor) -> Tensor:
    """Class logits float (n, classes) after glimpses at known location indices int64 (T, n).

    Embeds all T glimpses in one call where the model has `embed` and `step`.
    """
    T, n = cells.shape
    state = model.start(n)
    if not (hasattr(model, "embed") and hasattr(model, "step")):
        for at in cells:
            state = model.look(state, *fovea(images, at))
        return model.classify(state)
    repeated = images.repeat(T, 1, 1, 1)
    for embedding in model.embed(*fovea(repeated, cells.flatten())).unflatten(0, (T, n)):
        state = model.step(state, embedding)
    return model.classify(state)
