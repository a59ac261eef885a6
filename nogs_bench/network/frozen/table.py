"""Features of every glimpse of a split, computed once and kept on disk.

CACHE/features/<key>.npy   float16 (n, cells, width)

The key names images, grid, embedder and weights. While a table is made it is `<key>.begun`, and
`<key>.json` says how many images are done: a call that was stopped goes on there. Other processes
wait for the one that computes. Nothing removes a table: delete the folder to make room.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from nogs_bench.device import cores
from nogs_bench.errors import NogsError
from nogs_bench.files import (
    cache_folder,
    digest_json,
    locked,
    new_array,
    package_version,
    read_array,
    require_room,
    write_json,
)
from nogs_bench.images import LabelledImages, writable
from nogs_bench.network.fovea import Fovea
from nogs_bench.network.frozen.embedder import FrozenNetwork
from nogs_bench.progress import progress_bars
from nogs_bench.tasks import GlimpseGrid

# Glimpses at once, of one image, which the caches of a core hold; images between two records.
CHUNK, RECORDED = 32, 64


def feature_table(
    network: FrozenNetwork, grid: GlimpseGrid, split: LabelledImages, device: torch.device
) -> np.ndarray:
    """float16 (n, cells, network.width), memory-mapped: features of every cell of all images.

    They are computed with a bar if they are not there. Raises `NogsError` if the cache cannot be
    written or has too little room, or features are no numbers of float16.
    """
    shape = len(split), grid.cells, network.width
    made_by = [package_version(), torch.__version__, device.type, network.digest]
    seen = [split.digest(), grid.pixels.tolist(), grid.glimpse_size]
    path = cache_folder() / "features" / f"{digest_json([made_by, seen])[:32]}.npy"
    kept = writable(path.parent, "features of glimpses")
    with kept, locked(path.with_suffix(".lock"), "", wait=True):
        if not path.is_file():
            fovea = Fovea(grid, torch.from_numpy(split.images).to(device))
            _make(path, shape, network, fovea)
        table = read_array(path, "c")
    if table.shape != shape or table.dtype != np.float16:
        raise NogsError(f"{path} does not hold features of shape {shape}; remove it")
    return table


def _make(path: Path, shape: tuple[int, int, int], network: FrozenNetwork, fovea: Fovea) -> None:
    """Compute a table, from where an earlier call stopped."""
    begun, record = path.with_suffix(".begun"), path.with_suffix(".json")
    done = _done(begun, record, shape)
    if done:
        table = np.lib.format.open_memmap(begun, "r+")
    else:
        require_room(
            path.parent,
            2 * shape[0] * shape[1] * shape[2],
            "features of all glimpses take",
            "name another folder with the environment variable NOGS_BENCH_CACHE",
        )
        table = new_array(begun, np.float16, shape)
    cells = torch.arange(shape[1], device=fovea.corners.device)

    def see(row: int) -> np.ndarray:
        parts = [fovea(torch.full_like(part, row), part)[0] for part in cells.split(CHUNK)]
        features = torch.cat([network(patch) for patch in parts]).half()
        if not features.isfinite().all():
            raise NogsError("a frozen embedder's features are infinite or too large for float16")
        return features.cpu().numpy()

    threads = cores() if cells.device.type == "cpu" else 1
    # Each computes alone: sums do not depend on how many there are.
    single = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    with progress_bars() as bars, single as pool:
        bar = bars.add_task("Features", total=shape[0], completed=done, note="")
        for start in range(done, shape[0], RECORDED):
            rows = range(start, min(start + RECORDED, shape[0]))
            for row, features in zip(rows, pool.map(see, rows), strict=True):
                table[row] = features
                bars.advance(bar)
            table.flush()
            write_json(record, {"images": rows.stop})
    del table  # some systems do not rename a file that is mapped
    begun.replace(path)
    record.unlink()


def _done(begun: Path, record: Path, shape: tuple[int, int, int]) -> int:
    """How many images an earlier call has done."""
    try:
        done = int(json.loads(record.read_text())["images"])
        whole = read_array(begun, "c")
    except (OSError, ValueError, KeyError, TypeError, NogsError):
        return 0
    return done if whole.shape == shape and whole.dtype == np.float16 else 0
