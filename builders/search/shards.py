"""The annotation of many images: deterministic shards, any number of workers, any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from nogs_bench.builders.search.annotate import Annotator, Sequences
from nogs_bench.builders.search.searches import Found
from nogs_bench.executors import Executor, single_thread
from nogs_bench.files import Mirror, read_arrays, repaired, sound_arrays, write_arrays
from nogs_bench.progress import progress_bars

SHARD = 20
FIELDS = tuple(field.name for field in fields(Sequences))


@dataclass(frozen=True)
class Work:
    """What a process needs to annotate.

    - `images`: uint8 (n, channels, image_size, image_size); `numbers`: int64 (n,), their places in
      the training split.
    - `first`: the outcome of `Annotator.first_step`.
    """

    annotator: Annotator
    images: np.ndarray
    numbers: np.ndarray
    first: list[Found]


@dataclass(frozen=True)
class Shard:
    """Images `start .. stop - 1` of the work, and the file of their sequences."""

    folder: Path
    start: int
    stop: int
    mirror: Mirror

    @property
    def path(self) -> Path:
        return self.folder / f"{self.start:07d}.safetensors"

    def write(self, made: Sequences) -> None:
        """The file, with a sha256 of its arrays."""
        write_arrays(self.path, {name: getattr(made, name) for name in FIELDS})
        self.mirror.push(self.path)

    def read(self, names: Sequence[str] = FIELDS) -> dict[str, np.ndarray]:
        """Some of the arrays. Raises `NogsError` if the file is absent or damaged."""
        return read_arrays(self.path, names)

    def sound(self) -> bool:
        """Whether the file is there, whole, and as it was written."""
        return sound_arrays(self.path)


def shard_size(labels: int) -> int:
    """How many images are a shard: fewer, where each is annotated for many labels."""
    return max(1, SHARD // labels)


def shards_of(
    count: int, folder: Path, labels: int = 1, mirror: Mirror | None = None
) -> list[Shard]:
    """Those of images 0 .. count - 1, each annotated for so many labels."""
    size, kept = shard_size(labels), mirror or Mirror(folder)
    return [Shard(folder, s, min(s + size, count), kept) for s in range(0, count, size)]


def annotate_all(
    load: Callable[[], Work], shards: Sequence[Shard], executor: Executor, device: str = "cpu"
) -> None:
    """Annotate the images of `shards`, one file each.

    Shards whose file is there and sound are kept; what was damaged is said and made again. Each
    worker calls `load` (which must be picklable if there is more than one) once. Ctrl-C stops at
    once; finished shards stay. A shard's images are annotated together, so that with another
    number of images the last shard may differ by rounding.
    """
    missing = [shard for shard in shards if not shard.sound()]
    repaired([shard.path for shard in missing if shard.path.exists()], "was damaged: made again")
    missing = _not_kept(missing)
    total, left = (sum(s.stop - s.start for s in some) for some in (shards, missing))
    with progress_bars() as bars:
        bar = bars.add_task("Sequences", total=total, note="")
        bars.advance(bar, total - left)
        for place, done in executor.run(_Annotating(load, device), missing):
            if not missing[place].path.exists():  # a worker on a machine with other disks
                missing[place].mirror.pull(missing[place].path)
            bars.advance(bar, done)


def _not_kept(missing: Sequence[Shard]) -> list[Shard]:
    """Those of `missing` that a store has not either; the others are copied from it."""
    held = missing[0].mirror.held(missing[0].folder) if missing else set()
    kept = [shard for shard in missing if shard.path.name in held]
    for shard in kept:
        shard.mirror.pull(shard.path)
    damaged = [shard.path for shard in kept if not shard.sound()]
    repaired(damaged, "is damaged in the store: made again")
    return [shard for shard in missing if shard not in kept or shard.path in damaged]


def gathered(shards: Sequence[Shard], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some fields of `Sequences`, of all shards."""
    parts = [shard.read(names) for shard in shards]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


@dataclass(frozen=True)
class _Annotating:
    """The stage's `Load`."""

    load: Callable[[], Work]
    device: str

    def __call__(self) -> Callable[[Shard], int]:
        single_thread(self.device)
        return partial(_annotate, self.load())


def _annotate(work: Work, shard: Shard) -> int:
    rows = slice(shard.start, shard.stop)
    shard.write(work.annotator.annotate(work.images[rows], work.numbers[rows].tolist(), work.first))
    return shard.stop - shard.start
