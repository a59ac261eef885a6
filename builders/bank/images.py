"""A generated bank on disk: shards of equal size, read a row at a time.

settings.json        what makes the bank, written first
0000000.npy          uint8 (ROWS, channels, size, size); the last shard may be shorter
0000000.labels.npy   int64 (rows, labels)
0000000.json         sha256 of both, written last: a shard without it is made again
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from nogs_bench.builders.generators import Generator
from nogs_bench.errors import NogsError
from nogs_bench.executors import Executor, LocalExecutor
from nogs_bench.files import (
    Mirror,
    digest_file,
    digest_json,
    repaired,
    replacing,
    require_room,
    write_json,
)
from nogs_bench.images import LabelledImages, open_array
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


@dataclass(frozen=True)
class GeneratedBank:
    """A bank on disk, its folder, and the record of what made it."""

    bank: Bank
    folder: Path
    record: dict[str, Any]


def make_bank(
    generator: Generator,
    folder: Path,
    seed: int,
    count: int,
    executor: Executor | None = None,
    load: Callable[[], Generator] | None = None,
    mirror: Mirror | None = None,
) -> Bank:
    """Generate images 0 .. count - 1 into `folder`, shard by shard, or go on where that stopped.

    Shards that are not what their record says are made again. With an `executor`, `load`
    (picklable) makes the same generator for each of its workers. `mirror`: where finished shards
    are kept too.
    Raises `NogsError` if the folder holds another bank, or the disk has no room for this one.
    """
    settings = {"generator": dict(generator.config), "seed": seed, "count": count, "rows": ROWS}
    settings_file = folder / SETTINGS
    if settings_file.exists() and _read_json(settings_file) != settings:
        raise NogsError(f"{folder} holds another bank; give another folder or delete it")
    kept = mirror or Mirror(folder)
    if not settings_file.exists():
        write_json(settings_file, settings)
        kept.push(settings_file)
    missing = [start for start in _starts(count) if not _sound(folder, start)]
    false = [_record(folder, start) for start in missing if _record(folder, start).exists()]
    for path in false:
        path.unlink()
    repaired(false, "is not of the images beside it: they are made again")
    held = kept.held(folder) if missing else set()
    missing = [
        s for s in missing if _record(folder, s).name not in held or not _pull(folder, s, kept)
    ]
    jobs = [
        _Rows(folder, seed, start, min(ROWS, count - start), 0 if number else len(missing), kept)
        for number, start in enumerate(missing)
    ]
    with progress_bars() as bars:
        bar = bars.add_task("Bank", total=count, note="")
        bars.advance(bar, count - sum(job.count for job in jobs))
        if executor is None or load is None or executor.workers == 1:
            executor, load = LocalExecutor(1), lambda: generator
        for place, done in executor.run(_Generating(load), jobs):
            if not _record(folder, jobs[place].start).exists():
                _pull(folder, jobs[place].start, kept)
            bars.advance(bar, done)
    return open_bank(folder)


@dataclass(frozen=True)
class _Rows:
    """A shard to be made; of the first one, how many `shards` there must be room for."""

    folder: Path
    seed: int
    start: int
    count: int
    shards: int
    mirror: Mirror


@dataclass(frozen=True)
class _Generating:
    """The stage's `Load`."""

    load: Callable[[], Generator]

    def __call__(self) -> Callable[[_Rows], int]:
        return partial(_generate, self.load())


def _generate(generator: Generator, rows: _Rows) -> int:
    made = generator.sample(rows.seed, rows.start, rows.count)
    if rows.shards:
        require_room(
            rows.folder,
            made.images[0].nbytes * ROWS * rows.shards,
            "the rest of the bank needs",
            "make room or a smaller bank (bank_images)",
        )
    _write(rows.folder, rows.start, made)
    rows.mirror.push(*_files(rows.folder, rows.start))
    return len(made)


def bring_bank(folder: Path, mirror: Mirror) -> None:
    """Copy the shards that this machine lacks from the store."""
    if (folder / SETTINGS).exists() or mirror.pull(folder / SETTINGS):
        for start in _starts(_count(folder)):
            if not _record(folder, start).exists():
                _pull(folder, start, mirror)


def _pull(folder: Path, start: int, mirror: Mirror) -> bool:
    """Copy a shard from the store; whether it is there and sound."""
    mirror.pull(*_files(folder, start))
    return _sound(folder, start)


def _files(folder: Path, start: int) -> list[Path]:
    """A shard's, the record last."""
    return [folder / f"{start:07d}{end}" for end in (".npy", ".labels.npy", ".json")]


def open_bank(folder: Path) -> Bank:
    """A finished bank. Its pixels are held in memory up to 1 GiB, and stay on disk beyond.

    Raises `NogsError` if a shard is missing.
    """
    count = _count(folder)
    starts = _starts(count)
    records = [_read_json(_record(folder, start)) for start in starts]
    labels = np.concatenate([open_array(folder / f"{s:07d}.labels.npy") for s in starts])
    if len(labels) != count:
        raise NogsError(f"{folder} has {len(labels)} labels, expected {count}; make it again")
    shape = (count, *open_array(folder / f"{0:07d}.npy").shape[1:])
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


def _sound(folder: Path, start: int) -> bool:
    """Whether a shard's files are what its record says."""
    try:
        record = json.loads(_record(folder, start).read_text(encoding="utf-8"))
        names = {"images": f"{start:07d}.npy", "labels": f"{start:07d}.labels.npy"}
        return all(record[name] == digest_file(folder / file) for name, file in names.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _starts(count: int) -> range:
    return range(0, count, ROWS)


def _record(folder: Path, start: int) -> Path:
    return folder / f"{start:07d}.json"


def _count(folder: Path) -> int:
    """How many images a bank has, as its settings say."""
    count = _read_json(folder / SETTINGS).get("count")
    if type(count) is not int or count < 1:
        raise NogsError(f"{folder / SETTINGS} is damaged; make the bank again")
    return count


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NogsError(f"{path} is missing or damaged; make the bank again") from error
    if not isinstance(value, dict):
        raise NogsError(f"{path} is damaged; make the bank again")
    return value
