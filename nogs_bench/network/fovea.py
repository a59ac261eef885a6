"""Running a model over images: what it sees, where it looks, what it concludes.

Everything here works for one model and for a `Stack` of R models alike: tensors of a stack have R
as an additional first dimension, written `[R,]` below.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nogs_bench.images import LabelledImages, mapping_of
from nogs_bench.network.contract import embeds
from nogs_bench.network.policy import sample
from nogs_bench.network.stacking import Stack
from nogs_bench.tasks import GlimpseGrid, Task

# Of a mapped file, at most about so much counts as the process's own memory.
HELD_BYTES = 2**28


@dataclass(frozen=True)
class ImageTensors:
    """A split on a device, for one target: images uint8 (n, c, h, w), labels int64 (n,).

    - `mapping`: of the file that the images are read from as they are needed, if any.
    - `features`: float16 (n, cells, width), what a frozen embedder makes of every glimpse; None
      where networks look at pixels.
    """

    images: Tensor
    labels: Tensor
    mapping: mmap.mmap | None = None
    features: Tensor | None = None

    @classmethod
    def of(
        cls,
        split: LabelledImages,
        task: Task,
        device: torch.device,
        images: Tensor | None = None,
        features: Tensor | None = None,
    ) -> ImageTensors:
        """`split` on `device`; `images`: those of the split, if they are there already."""
        if images is None:
            images = torch.from_numpy(split.images).to(device)
        labels = torch.from_numpy(split.labels[:, task.target].copy()).to(device)
        mapping = mapping_of(split.images) if device.type == "cpu" else None
        return cls(images, labels, mapping, features)

    def __len__(self) -> int:
        return len(self.labels)


class Fovea:
    """f_fovea(I, l): from image numbers and location indices to what a model takes.

    Only the pixels of the glimpses are read. They become float, divided by 255, afterwards.

    **Arguments**

    - `images`: uint8 (N, c, h, w); they are never copied, unless they are not contiguous.
    - `mapping`: of the file that holds them. Pages that were read from a large one are given back
      time and again; the system's cache keeps them while there is room.
    """

    def __init__(self, grid: GlimpseGrid, images: Tensor, mapping: mmap.mmap | None = None):
        large = mapping is not None and len(mapping) > HELD_BYTES
        self.mapping, self.held = mapping if large else None, 0
        device, size = images.device, grid.glimpse_size
        images = images.contiguous()
        self.shape = images.shape[1], size, size
        self.image = images[:1].numel()
        # One row of a glimpse, for every pixel that it may begin at.
        pixels = images.view(-1)
        self.lines = pixels.as_strided((len(pixels) - size + 1, size), (1, 1))
        height, width = images.shape[2:]
        corners = torch.from_numpy(grid.pixels).to(device)
        self.corners = corners[:, 0] * width + corners[:, 1]
        channel, row = (torch.arange(k, device=device) for k in self.shape[:2])
        self.offsets = (channel[:, None] * (height * width) + row * width).flatten()
        self.locations = torch.from_numpy(grid.pixel_to_normalised(grid.pixels)).to(device)

    def __call__(self, rows: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Patches float ([R,] n, c, g, g) in 0..1 and locations float ([R,] n, 2) in -1..1.

        `rows`, `cells`: int64 ([R,] n), image numbers and location indices.
        """
        at, taken = rows.flatten(), cells.flatten()
        if self.mapping is not None:
            self._give_back(len(at))
        begin = at * self.image + self.corners.index_select(0, taken)
        lines = self.lines.index_select(0, (begin[:, None] + self.offsets).flatten())
        patch = lines.to(torch.float32).mul_(1 / 255).view(*rows.shape, *self.shape)
        return patch, self.locations.index_select(0, taken).view(*rows.shape, 2)

    def look_of(self, model: Any) -> Callable[..., Tensor]:
        """What takes a state and what this gives to the next state."""
        look: Callable[..., Tensor] = model.look
        return look

    def _give_back(self, glimpses: int) -> None:
        self.held += glimpses * self.image
        if self.held > HELD_BYTES:
            assert self.mapping is not None
            self.mapping.madvise(mmap.MADV_DONTNEED)
            self.held = 0


class FeatureFovea(Fovea):
    """Gives a glimpse's features, float ([R,] n, width), in the place of its pixels.

    `features`: as `ImageTensors` has them.
    """

    def __init__(self, grid: GlimpseGrid, images: Tensor, features: Tensor):
        super().__init__(grid, images)
        self.features, self.cells = features.flatten(0, 1), grid.cells

    def __call__(self, rows: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        at = (rows * self.cells + cells).flatten()
        seen = self.features.index_select(0, at).float().view(*rows.shape, -1)
        return seen, self.locations.index_select(0, cells.flatten()).view(*rows.shape, 2)


def fovea_of(task: Task, split: ImageTensors) -> Fovea:
    """The fovea of a split of the task."""
    if split.features is not None:
        return FeatureFovea(task.grid, split.images, split.features)
    return Fovea(task.grid, split.images, split.mapping)


@dataclass(frozen=True)
class Rollout:
    """A model's T glimpses of n images.

    - `states`: T tensors ([R,] n, ...), the state each location was chosen from.
    - `cells`: int64 ([R,] T, n), the location indices.
    - `class_logits`: float ([R,] n, classes), after the last glimpse.
    - `beliefs`: float ([R,] T, n, classes), the same after each glimpse, if asked for.
    """

    states: list[Tensor]
    cells: Tensor
    class_logits: Tensor
    beliefs: Tensor | None = None


def roll_out(
    model: Any,
    fovea: Fovea,
    rows: Tensor,
    uniform: Tensor,
    fixed: Tensor | None = None,
    beliefs: bool = False,
) -> Rollout:
    """Let the model choose its glimpses of the images numbered `rows` int64 ([R,] n).

    **Arguments**

    - `uniform`: float ([R,] T, n) in [0, 1), the randomness of the choices.
    - `fixed`: int64 ([R,] T, n) location indices that are taken instead; -1 leaves the choice.
    - `beliefs`: whether to classify after every glimpse.
    """
    state = model.start(rows.shape[-1])
    states, chosen = [], []
    tape = model.tape(fovea.shape[-1]) if isinstance(model, Stack) else None
    look = fovea.look_of(model) if tape is None else tape.look
    for t, draw in enumerate(uniform.unbind(-2)):
        with torch.no_grad():
            cells = sample(model.locate(state), draw)
            if fixed is not None:
                known = fixed.select(-2, t)
                cells = torch.where(known >= 0, known, cells)
        states.append(state)
        chosen.append(cells)
        state = look(state, *fovea(rows, cells))
    if tape is not None and torch.is_grad_enabled():
        *states, state = tape.states(state)
    taken = torch.stack(chosen, dim=-2)
    logits = model.classify(state)
    if not beliefs:
        return Rollout(states, taken, logits)
    # The last apart, so that it is the same number whether the others are asked for or not.
    parts = [logits.unsqueeze(-3)]
    if len(states) > 1:
        before = model.classify(torch.cat(states[1:], dim=rows.dim() - 1))
        parts.insert(0, before.unflatten(-2, (len(states) - 1, -1)))
    return Rollout(states, taken, logits, torch.cat(parts, dim=-3))


def mirrored(fovea: Fovea) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What shows the glimpses of the images reversed left to right.

    It is called as the fovea is. A glimpse is reversed, and lies where the reversed image has it.
    """

    def see(rows: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        patch, location = fovea(rows, cells)
        row, column = location.unbind(-1)
        return patch.flip(-1), torch.stack((row, -column), dim=-1)

    return see


def follow(
    model: Any,
    fovea: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    rows: Tensor,
    cells: Tensor,
) -> Tensor:
    """Class logits float ([R,] n, classes) after glimpses at known indices int64 ([R,] T, n).

    Embeds all T glimpses in one call where the model has `embed` and `step`.
    """
    T, n = cells.shape[-2:]
    state = model.start(n)
    if not embeds(model):
        for at in cells.unbind(-2):
            state = model.look(state, *fovea(rows, at))
        return model.classify(state)
    repeated = rows.unsqueeze(-2).expand_as(cells).flatten(-2)
    embeddings = model.embed(*fovea(repeated, cells.flatten(-2)))
    for embedding in embeddings.unflatten(rows.dim() - 1, (T, n)).unbind(rows.dim() - 1):
        state = model.step(state, embedding)
    return model.classify(state)
