"""A split's rows: whole columns of labels, and pictures one by one, without holding the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from nogs_bench.device import cores
from nogs_bench.files import digest_json
from nogs_bench.images.cache import AHEAD, file_state

BATCH = 32  # rows that are read at once
BUFFER = 2**20  # bytes


class Rows(Protocol):
    """A split's rows.

    - `features`: `datasets`' types of the columns, by name.
    - `state`: changes when their content does.
    """

    @property
    def features(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> str: ...
    def __len__(self) -> int: ...
    def values(self, column: str) -> Sequence[Any]:
        """All values of a column."""
        ...

    def picture(self, column: str, row: int) -> Any:
        """What a column of images holds: bytes, or `bytes` and `path` of a file."""
        ...


@dataclass(frozen=True)
class PreparedRows:
    """Those that `datasets` has prepared in its own cache, memory-mapped; `rows`: its `Dataset`."""

    rows: Any

    @property
    def features(self) -> Mapping[str, Any]:
        return self.rows.features

    @property
    def state(self) -> str:
        return str(self.rows._fingerprint)

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: str) -> Sequence[Any]:
        return list(self.rows.select_columns([column])[:][column])

    @cached_property
    def _undecoded(self) -> Any:
        from datasets import Image

        pictures = [name for name, kind in self.features.items() if isinstance(kind, Image)]
        rows = self.rows
        for name in pictures:
            rows = rows.cast_column(name, Image(decode=False))
        return rows

    def picture(self, column: str, row: int) -> Any:
        return self._undecoded.select_columns([column])[row][column]


@dataclass(frozen=True)
class ParquetRows:
    """Those of parquet files, read where they lie: nothing is copied, and of the images no more
    than some batches are held, for threads that ask for rows about in order.

    `files`: of the split, in order; `features`: whose types the files have.
    """

    files: tuple[Path, ...]
    features: Mapping[str, Any]
    state: str = field(init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _at: dict[str, _Position] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # As the files are now: what is held of them must not pass for what they become.
        now = digest_json([[str(path), *file_state(path)] for path in self.files])
        object.__setattr__(self, "state", now)

    @cached_property
    def _groups(self) -> tuple[list[tuple[Path, int]], np.ndarray]:
        """Each row group's file and number there; the row that each begins with, and the end."""
        groups, sizes = [], [0]
        for path in self.files:
            about = _opened(path).metadata
            for number in range(about.num_row_groups):
                groups.append((path, number))
                sizes.append(about.row_group(number).num_rows)
        return groups, np.cumsum(sizes)

    def __len__(self) -> int:
        return int(self._groups[1][-1])

    def values(self, column: str) -> Sequence[Any]:
        return [
            value for path in self.files for value in _opened(path).read([column])[0].to_pylist()
        ]

    def picture(self, column: str, row: int) -> Any:
        with self._lock:
            position = self._at.setdefault(column, _Position())
            found = position.find(row)
            if found is None:
                groups, starts = self._groups
                group = int(np.searchsorted(starts, row, "right")) - 1
                if group != position.group or row < position.next_row:
                    path, number = groups[group]
                    batches = _opened(path).iter_batches(BATCH, [number], [column])
                    position.go(group, int(starts[group]), batches)
                found = position.forward(row)
            start, batch = found
        return batch.column(0)[row - start].as_py()


@dataclass
class _Position:
    """Where reading is: the row group, its batches, the row that comes next, the last batches."""

    group: int = -1
    next_row: int = 0
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))
    held: deque[tuple[int, Any]] = field(
        default_factory=lambda: deque(maxlen=2 + AHEAD * cores() // BATCH)
    )

    def find(self, row: int) -> tuple[int, Any] | None:
        """The batch with a row, and its first row, if it is held."""
        return next((b for b in self.held if b[0] <= row < b[0] + b[1].num_rows), None)

    def go(self, group: int, first: int, batches: Iterator[Any]) -> None:
        self.group, self.next_row, self.batches = group, first, batches

    def forward(self, row: int) -> tuple[int, Any]:
        """Read on to a row of this group."""
        while self.next_row <= row:
            batch = next(self.batches)
            self.held.append((self.next_row, batch))
            self.next_row += batch.num_rows
        return self.held[-1]


def _opened(path: Path) -> Any:
    from pyarrow.parquet import ParquetFile

    return ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)


def rows_of(builder: Any) -> dict[str, Rows]:
    """The splits of a `datasets` builder, by its own names, downloaded if need be.

    Parquet files are read where they lie, if they have the dataset's types and no nested columns;
    of anything else `datasets` makes a copy in its cache.
    """
    from datasets import DownloadManager

    wanted = builder.config.data_files or {}
    if wanted and all(str(name).endswith(".parquet") for part in wanted.values() for name in part):
        files = {
            str(split): tuple(Path(str(path)) for path in part)
            for split, part in DownloadManager().download(wanted).items()
        }
        features = _features_of(builder, [path for part in files.values() for path in part])
        if features is not None:
            return {split: ParquetRows(part, features) for split, part in files.items()}
    builder.download_and_prepare()
    loaded = builder.as_dataset()
    return {
        str(name): PreparedRows(rows.flatten() if _nested(rows.features) else rows)
        for name, rows in loaded.items()
    }


def _features_of(builder: Any, files: Sequence[Path]) -> Mapping[str, Any] | None:
    """The types of the columns of parquet files; None if these have others, or are nested."""
    from datasets import Features

    schemas = [_opened(path).schema_arrow for path in files]
    features = builder.info.features or Features.from_arrow_schema(schemas[0])
    wanted = {column.name: column.type for column in features.arrow_schema}
    same = all({column.name: column.type for column in schema} == wanted for schema in schemas)
    return features if same and not _nested(features) else None


def _nested(features: Mapping[str, Any]) -> bool:
    return any(isinstance(kind, Mapping) and "bytes" not in kind for kind in features.values())
