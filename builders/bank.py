"""A generated bank on disk: shards of equal size, read a row at a time.

settings.json        what makes the bank, written first
0000000.npy          uint8 (ROWS, channels, size, size); the last shard may be shorter
0000000.labels.npy   int64 (rows, labels)
0000000.json         sha256 of both, written last: a shard without it is made again
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from nogs_bench.artefact import digest_file, digest_json, replacing, write_json
from nogs_bench.builders.generators.generator import Generator
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.prepared import open_array
from nogs_bench.progress import progress_bars

ROWS = 1024
IN_MEMORY = 2**30
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Bank(LabelledImages):
    """Labelled images whose pixels may stay on disk. `sha256` stands for all of them."""

    sha256: str = ""

    def digest(self) -> str:
        return self.sha256


class ShardedImages:
    """uint8 images in shards of `ROWS`, memory-mapped; indexed as the array they stand for.

    A slice, an integer or an integer array along the first dimension gives an array in memory:
    that many images and no more are read. Slices of further dimensions, in a tuple, read that part
    of them. Shards are opened when they are first needed.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, folder: Path, shape: tuple[int, ...]):
        self.folder, self.shape = folder, shape
        self._open: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | np.ndarray | tuple[Any, ...]) -> np.ndarray:
        rows, *part = index if isinstance(index, tuple) else (index,)
        numbers = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        if numbers.ndim == 0:
            return self._shard(int(numbers) // ROWS)[int(numbers) % ROWS, *part]
        one = np.broadcast_to(np.uint8(0), self.shape[1:])[tuple(part)]
        found = np.empty((len(numbers), *one.shape), np.uint8)
        shards = numbers // ROWS
        for shard in np.unique(shards):
            places = np.flatnonzero(shards == shard)
            found[places] = self._shard(int(shard))[numbers[places] % ROWS, *part]
        return found

    def _shard(self, number: int) -> np.ndarray:
        if number not in self._open:
            self._open[number] = open_array(self.folder / f"{number * ROWS:07d}.npy")
        return self._open[number]

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "shape": self.shape, "_open": {}}


def make_bank(generator: Generator, folder: Path, seed: int, count: int) -> Bank:
    """Generate images 0 .. count - 1 into `folder`, shard by shard, or go on where that stopped.

    Raises `NogsError` if the folder holds another bank, or the disk has no room for this one.
    """
    settings = {"generator": dict(generator.config), "seed": seed, "count": count, "rows": ROWS}
    settings_file = folder / SETTINGS
    if settings_file.exists() and _read_json(settings_file) != settings:
        raise NogsError(f"{folder} holds another bank; give another folder or delete it")
    write_json(settings_file, settings)
    missing = [start for start in _starts(count) if not _record(folder, start).exists()]
    with progress_bars() as bars:
        bar = bars.add_task("Bank", total=count, note="")
        bars.advance(bar, sum(min(ROWS, count - s) for s in _starts(count) if s not in missing))
        for number, start in enumerate(missing):
            made = generator.sample(seed, start, min(ROWS, count - start))
            if not number:
                _check_space(folder, made.images[0].nbytes * ROWS * len(missing))
            _write(folder, start, made)
            bars.advance(bar, len(made))
    return open_bank(folder)


def open_bank(folder: Path) -> Bank:
    """A finished bank. Its pixels are held in memory up to 1 GiB, and stay on disk beyond.

    Raises `NogsError` if a shard is missing.
    """
    settings = _read_json(folder / SETTINGS)
    starts = _starts(settings["count"])
    records = [_read_json(_record(folder, start)) for start in starts]
    labels = np.concatenate([open_array(folder / f"{s:07d}.labels.npy") for s in starts])
    shape = (settings["count"], *open_array(folder / f"{0:07d}.npy").shape[1:])
    images = cast(np.ndarray, ShardedImages(folder, shape))
    if np.prod(shape) <= IN_MEMORY:
        images = images[:]
    return Bank(images, labels, digest_json([list(shape), records]))


def _write(folder: Path, start: int, made: LabelledImages) -> None:
    record = {}
    for name, array in (("", made.images), (".labels", made.labels)):
        path = folder / f"{start:07d}{name}.npy"
        with replacing(path) as temporary:
            np.save(temporary, array, allow_pickle=False)
        record[name.lstrip(".") or "images"] = digest_file(path)
    write_json(_record(folder, start), record)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NogsError(
            f"the rest of the bank needs {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} "
            "GB free; make room or a smaller bank (bank_images)"
        )


def _starts(count: int) -> range:
    return range(0, count, ROWS)


def _record(folder: Path, start: int) -> Path:
    return folder / f"{start:07d}.json"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NogsError(f"{path} is missing or damaged; make the bank again") from error
    return value
