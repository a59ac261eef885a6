"""The maps of many images, which stay in their shards until they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from safetensors import safe_open

from nogs_bench.builders.search import Shard


@dataclass(frozen=True)
class ShardedMaps:
    """One label's maps, float16 (n, T, grid rows, grid columns), nats; read some rows at a time.

    A slice gives an array in memory. An integer array gives the same maps in another order, still
    on disk.

    - `shards`: hold the maps of the images in `rows`' numbering; `place`: the label's, in them.
    - `rows`: int64 (n,).
    """

    shards: Sequence[Shard]
    place: int
    shape: tuple[int, ...]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray | ShardedMaps:
        if not isinstance(index, slice):
            return ShardedMaps(self.shards, self.place, self.shape, self.rows[index])
        rows = self.rows[index]
        found = np.empty((len(rows), *self.shape[1:]), np.float16)
        starts = np.cumsum([0, *(shard.stop - shard.start for shard in self.shards)])
        numbers = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(numbers):
            here = np.flatnonzero(numbers == number)
            with safe_open(self.shards[number].path, framework="np") as file:
                held = file.get_slice("maps")[:, self.place]
            found[here] = held[rows[here] - starts[number]].reshape(-1, *self.shape[1:])
        return found


def sharded_maps(shards: Sequence[Shard], place: int, shape: tuple[int, ...]) -> ShardedMaps:
    """All maps of a label; `shape`: (T, grid rows, grid columns)."""
    count = sum(shard.stop - shard.start for shard in shards)
    return ShardedMaps(shards, place, (count, *shape), np.arange(count))
