"""What a trained network does with images: where it looks, and what it believes each time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.network import Fovea, sample
from nogs_bench.randomness import torch_generator
from nogs_bench.trained.loading import TrainedNetwork
from nogs_bench.training import CHUNK


@dataclass(frozen=True)
class Looks:
    """The glimpses of n images, and the beliefs.

    - `cells`: int64 (n, T), location indices; `glimpses`: int64 (n, T, 2), pixel (row, col) of each
      glimpse's top-left corner.
    - `beliefs`: float32 (n, T, classes), class probabilities after t = 1 .. T glimpses.
    - `policy`: float32 (n, T, cells), where the network would look, before each glimpse; None if it
      was not asked for.
    - `used`: int64 (n,), glimpses after which the belief was strong enough; T where it never was.
    """

    cells: np.ndarray
    glimpses: np.ndarray
    beliefs: np.ndarray
    policy: np.ndarray | None
    used: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """int64 (n,): the likeliest class after the glimpses that were used."""
        return self.beliefs[np.arange(len(self.used)), self.used - 1].argmax(-1)


def look_at(
    network: TrainedNetwork,
    images: np.ndarray | Tensor,
    *,
    greedy: bool = False,
    seed: int = 0,
    confident: float | None = None,
    maps: bool = False,
) -> Looks:
    """Let the network look at images.

    **Arguments**

    - `images`: uint8 (n, channels, size, size), an array or a tensor, of the task's shape.
    - `greedy`: always look at the likeliest place. Otherwise each place is drawn from the policy,
      by `seed`. Rollout m of a result's test is drawn by seed m.
    - `confident`: in (0, 1]: the probability of a class at which looking may end. All T glimpses
      are still computed, so that the accuracy after each is known; `Looks.used` says how many were
      needed.
    - `maps`: whether `Looks.policy` is wanted.

    Raises `NogsError` if there are no images, or they have another type or shape.
    """
    task, images = network.task, np.asarray(images)
    shape = (task.channels, task.image_size, task.image_size)
    if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
        raise NogsError(
            f"images must be uint8 (n, {', '.join(map(str, shape))}) for {task.name}, got "
            f"{images.dtype} {images.shape}"
        )
    if confident is not None and not 0 < confident <= 1:
        raise NogsError(f"confident must lie in (0, 1], got {confident}")
    model, generator = network.model, torch_generator(torch.device("cpu"), "test", seed)
    parts = []
    with torch.no_grad():
        fovea = Fovea(task.grid, torch.from_numpy(np.ascontiguousarray(images)))
        for rows in torch.arange(len(images)).split(CHUNK):
            draws = torch.rand((task.T, len(rows)), generator=generator)
            parts.append(_roll(model, fovea, rows, draws, greedy, maps))
    cells, beliefs, policy = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
    glimpses = task.grid.index_to_pixel(cells)
    used = glimpses_used(beliefs, confident)
    return Looks(cells, glimpses, beliefs, policy if maps else None, used)


def glimpses_used(beliefs: np.ndarray, confident: float | None) -> np.ndarray:
    """`Looks.used` of beliefs (n, T, classes); T of all where `confident` is None."""
    sure = beliefs.max(-1) >= (np.inf if confident is None else confident)
    return np.where(sure.any(1), sure.argmax(1) + 1, beliefs.shape[1])


def _roll(
    model: torch.nn.Module, fovea: Fovea, rows: Tensor, draws: Tensor, greedy: bool, maps: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Cells (n, T), beliefs (n, T, classes) and policies (n, T, cells, or 0 if not wanted)."""
    state = model.start(len(rows))  # type: ignore[operator]
    cells, beliefs, policies = [], [], []
    for draw in draws:
        logits = model.locate(state)  # type: ignore[operator]
        at = logits.argmax(-1) if greedy else sample(logits, draw)
        state = model.look(state, *fovea(rows, at))  # type: ignore[operator]
        cells.append(at)
        beliefs.append(model.classify(state).softmax(-1))  # type: ignore[operator]
        policies.append(logits.softmax(-1) if maps else logits[:, :0])
    return torch.stack(cells, 1), torch.stack(beliefs, 1), torch.stack(policies, 1)
