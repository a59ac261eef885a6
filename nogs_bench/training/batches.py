"""What is random in an iteration: which images make up a batch, and what chooses its glimpses.

Batches are a function of the seed and the iteration alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from nogs_bench.device import sent
from nogs_bench.network import joint
from nogs_bench.randomness import derive, epoch_order

# Iterations that are drawn at once. On a GPU, other numbers follow from another length.
BLOCK = 50


def batch_rows(
    images: int, size: int, seed: int, device: torch.device, start: int = 0
) -> Iterator[Tensor]:
    """Row numbers int64 (size,) of the batches from iteration `start` on, without end.

    Every epoch visits the images in an order of its own and drops the last, incomplete batch.
    """
    size = min(size, images)
    per_epoch = images // size
    epoch, skip = divmod(start, per_epoch)
    while True:
        order = torch.from_numpy(epoch_order(images, seed, epoch)).to(device)
        yield from order[: per_epoch * size].view(per_epoch, size)[skip:]
        epoch, skip = epoch + 1, 0


def mixed_rows(
    images: int, supervised: Tensor, size: int, share: float, seed: int, start: int = 0
) -> Iterator[Tensor]:
    """As `batch_rows`, with a share of each batch drawn from the supervised images alone.

    **Arguments**

    - `supervised`: int64 (m,), the images that have a sequence, on the device of the batches.
    - `share`: in 0 .. 1; that part of a batch, rounded down, takes the supervised images in epochs
      of their own. The rest is of all images, the supervised among them. With none, or share 0,
      batches are those of `batch_rows`.
    """
    device, size = supervised.device, min(size, images)
    taken = min(int(share * size), len(supervised))
    if not taken:
        yield from batch_rows(images, size, seed, device, start)
    own = batch_rows(len(supervised), taken, derive(seed, "supervised"), device, start)
    for rows, picked in zip(batch_rows(images, size, seed, device, start), own, strict=False):
        yield torch.cat([supervised[picked], rows[taken:]])


class Draws:
    """Batches and uniform numbers of up to `BLOCK` iterations, on the device in one piece.

    An iteration finds its part by counters that lie on the device too: each is the same work, and
    none waits for the device. Interrupted where a block ends, it goes on as if it had not been.

    **Arguments**

    - `batches`: of each run, row numbers int64 (n,), on the CPU, without end.
    - `generators`: of each run, on `device`.
    - `shape`: (T, n).
    """

    def __init__(
        self,
        batches: Sequence[Iterator[Tensor]],
        generators: Sequence[torch.Generator],
        shape: tuple[int, int],
        network: Any,
        device: torch.device,
    ):
        self.batches, self.generators, self.shape = batches, generators, shape
        self.network, self.device = network, device
        self.left = 0
        rows, uniform = self._rows(0), self._uniform(0)
        self.rows = rows.new_zeros(BLOCK, *rows.shape[1:])
        self.uniform = uniform.new_zeros(BLOCK, *uniform.shape[1:])
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.iteration = self.place.clone()

    def ahead(self, iteration: int, until: int) -> None:
        """Draw what the iterations from `iteration` on need, at most to `until`, unless it is there
        already."""
        if not self.left:
            count = self.left = min(BLOCK, until - iteration)
            self.rows[:count] = self._rows(count)
            self.uniform[:count] = self._uniform(count)
            self.place.fill_(0)
            self.iteration.fill_(iteration)
        self.left -= 1

    def take(self) -> tuple[Tensor, Tensor, Tensor]:
        """An iteration's row numbers int64 ([R,] n) and uniform numbers float ([R,] T, n), and its
        number int64 (1,)."""
        rows, uniform = (each.index_select(0, self.place)[0] for each in (self.rows, self.uniform))
        number = self.iteration.clone()
        self.place.add_(1)
        self.iteration.add_(1)
        return rows, uniform, number

    def _rows(self, count: int) -> Tensor:
        each = [torch.stack([*islice(own, count)]) if count else self._none for own in self.batches]
        return sent(joint(each, self.network, 1), self.device)

    @property
    def _none(self) -> Tensor:
        return torch.zeros(0, self.shape[1], dtype=torch.int64)

    def _uniform(self, count: int) -> Tensor:
        shape = count, *self.shape
        each = [torch.rand(shape, generator=g, device=self.device) for g in self.generators]
        return joint(each, self.network, 1)
