"""Rows of parquet as they are asked for, from the Hub or a folder, by one thread.

`datasets` streams parquet through Arrow's thread pools, which call back into the Python file that
they read. A process that ends while one does so hangs or aborts at its exit (apache/arrow#45214
and #50482; seen in one of ten that took a first row, and in all that kept the iterator). Reading in
the caller's own thread leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def stream(
    source: str, config: str | None = None, split: str | None = None, revision: str | None = None
) -> Any:
    """What `datasets.load_dataset(..., streaming=True)` gives for a dataset of parquet files.

    - `source`, `config`, `revision`: as there: a folder, or `OWNER/NAME` on the Hub.
    - `split`: the name of one, which gives an `IterableDataset`; None: all, an
      `IterableDatasetDict`.

    Raises `ValueError` for a split that there is not, and whatever `datasets` raises for the rest.
    """
    from datasets import IterableDataset, IterableDatasetDict, NamedSplit, load_dataset_builder

    builder = load_dataset_builder(source, config, revision=revision)
    files = {str(name): list(paths) for name, paths in builder.config.data_files.items()}
    if split is not None and split not in files:
        raise ValueError(f"no split {split!r} to stream; there are {', '.join(files)}")
    parts = {
        name: IterableDataset.from_generator(
            _rows,
            features=builder.info.features or _features(paths[0]),
            gen_kwargs={"files": paths},
            split=NamedSplit(name),
        )
        for name, paths in files.items()
        if split in (None, name)
    }
    return IterableDatasetDict(parts) if split is None else parts[split]


def _rows(files: list[str]) -> Iterator[dict[str, Any]]:
    import fsspec
    from pyarrow.parquet import ParquetFile

    for path in files:
        with fsspec.open(path, "rb") as file, ParquetFile(file, pre_buffer=False) as table:
            for batch in table.iter_batches(use_threads=False):
                yield from batch.to_pylist()


def _features(path: str) -> Any:
    """Of a dataset whose card does not give them: what the file's own schema says."""
    import fsspec
    from datasets import Features
    from pyarrow.parquet import read_schema

    with fsspec.open(path, "rb") as file:
        return Features.from_arrow_schema(read_schema(file))
