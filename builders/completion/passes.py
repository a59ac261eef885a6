"""Passes over many images, piece by piece: in this process, or by an executor's workers.

What a pass gives comes in the order of the pieces, whoever did them and when, so that sums over
them do not depend on that. `Here` holds one piece's outcome at a time. `Spread` keeps each in a
file, from which another call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from nogs_bench.executors import Executor
from nogs_bench.files import Arrays, Mirror, read_arrays, repaired, sound_arrays, write_arrays
from nogs_bench.progress import progress_bars

# Pixels of a piece, unless a single batch has more, and of images that one process may as well do.
PIECE_PIXELS = 2**28

Piece = slice | np.ndarray
"""Which images: rows of the whole."""

Work = Callable[[np.ndarray, Piece, Arrays], dict[str, np.ndarray]]
"""What a pass makes of a piece of images (n, ...), given arrays; picklable."""


class Passes(Protocol):
    """Goes over images."""

    def __call__(
        self, name: str, work: Work, pieces: Sequence[Piece], given: Arrays
    ) -> Iterator[Arrays]:
        """The outcome of `work` for every piece, in their order. `name`: of this pass."""
        ...


@dataclass(frozen=True)
class Here:
    """Passes over `images` in this process; implements `Passes`."""

    images: np.ndarray

    def __call__(
        self, name: str, work: Work, pieces: Sequence[Piece], given: Arrays
    ) -> Iterator[Arrays]:
        for piece in pieces:
            yield work(self.images, piece, given)


@dataclass(frozen=True)
class Spread:
    """Passes by the workers of `executor`; implements `Passes`.

    - `load`: gives a worker the images; picklable.
    - `folder`: of finished pieces and of what they are given, of these images alone. Workers write
      there, or leave it in the `mirror`'s store.
    """

    load: Callable[[], np.ndarray]
    executor: Executor
    folder: Path
    mirror: Mirror

    def __call__(
        self, name: str, work: Work, pieces: Sequence[Piece], given: Arrays
    ) -> Iterator[Arrays]:
        shared = self.folder / f"{name}.safetensors"
        write_arrays(shared, given)
        self.mirror.push(shared)
        items = [
            _Item(shared.with_stem(f"{name}-{number:05d}"), shared, work, piece, self.mirror)
            for number, piece in enumerate(pieces)
        ]
        missing = [item for item in items if not sound_arrays(item.path)]
        repaired([i.path for i in missing if i.path.exists()], "was damaged: made again")
        missing = [item for item in missing if not item.pull()]
        with progress_bars() as bars:
            bar = bars.add_task(f"Bank: {name}", total=len(items), note="")
            bars.advance(bar, len(items) - len(missing))
            for place, _ in self.executor.run(partial(_ready, self.load), missing):
                if not missing[place].path.exists():  # a worker on a machine with other disks
                    missing[place].pull()
                bars.advance(bar)
        for item in items:
            yield read_arrays(item.path)


@dataclass(frozen=True)
class _Item:
    """A piece of a pass, the file of what it is given, and the file of its outcome."""

    path: Path
    shared: Path
    work: Work
    piece: Piece
    mirror: Mirror

    def pull(self) -> bool:
        """Copy the outcome from the store; whether it is there and sound."""
        return self.mirror.pull(self.path) and sound_arrays(self.path)


def _ready(load: Callable[[], np.ndarray]) -> Callable[[_Item], None]:
    """The `Load` of every pass."""
    threadpool_limits(1, "blas")
    return _Worker(load())


@dataclass
class _Worker:
    """Holds the images, and what the pass at work is given, which is in the file `shared`."""

    images: np.ndarray
    shared: Path | None = None
    given: Arrays = field(default_factory=dict)

    def __call__(self, item: _Item) -> None:
        if item.shared != self.shared:
            if not item.shared.exists():
                item.mirror.pull(item.shared)
            self.shared, self.given = item.shared, read_arrays(item.shared)
        write_arrays(item.path, item.work(self.images, item.piece, self.given))
        item.mirror.push(item.path)
