"""What an AVP is trained on, batch by batch; the next one is made while one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nogs_bench.builders.bank import Roles
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import Task

WARMUP = 3


def batches_of(
    task: Task, roles: Roles, seed: int, epoch: int, chosen: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, ...]]:
    """Images, labels, cells and t of each batch; a function of seed and epoch alone.

    The first images of a batch are seen at `chosen` cells, if any. Every other one of them ends
    with a uniform cell: the search asks about all that may come after a chosen prefix.
    """
    # Drawn here: a stop then need not wait for it.
    batches = _made(task, roles.avp(epoch), seed, epoch, chosen)
    with ThreadPoolExecutor(1) as making:
        coming = making.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = making.submit(next, batches, None)
            yield batch


def _made(
    task: Task, drawn: LabelledImages, seed: int, epoch: int, chosen: np.ndarray | None
) -> Iterator[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(drawn))
    size = task.avp.batch_size
    most = task.T * (WARMUP if epoch < task.avp.warmup * task.avp.epochs else 1)
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        images, labels = drawn.images[rows], drawn.labels[rows]
        cells = rng.integers(task.grid.cells, size=(size, most))
        t = rng.integers(1, most + 1, size=size)
        if chosen is not None:
            count = round(task.avp.chosen_share * size)
            picked = rng.integers(len(chosen), size=count)
            t[:count] = rng.integers(1, task.T + 1, size=count)
            last = cells[np.arange(count), t[:count] - 1]
            cells[:count, : task.T] = chosen[picked]
            cells[np.arange(0, count, 2), t[:count:2] - 1] = last[::2]
        if task.avp.mirrored:
            turned = rng.random(size) < 0.5
            images = np.where(turned[:, None, None, None], images[..., ::-1], images)
            cells[turned] = task.grid.mirrored[cells[turned]]
        yield images, labels, cells, t
