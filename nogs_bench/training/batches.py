"""Which images make up each batch: a function of the seed and the iteration alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nogs_bench.randomness import derive, epoch_order


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
