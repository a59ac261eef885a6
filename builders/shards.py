"""The annotation of many images: deterministic shards, any number of processes, any order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from nogs_bench.artefact import replacing
from nogs_bench.builders.annotate import Annotator
from nogs_bench.builders.search import Found
from nogs_bench.errors import NogsError
from nogs_bench.progress import progress_bars

SHARD = 20


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


Load = Callable[[], Work]


def annotate_all(load: Load, count: int, folder: Path, workers: int) -> dict[str, np.ndarray]:
    """Annotate images 0 .. count - 1 of the work, one file a shard, and gather `Sequences`' arrays.

    Shards whose file is there and sound are kept. With more than one worker, processes are
    started, each of which calls `load` (which must therefore be picklable) once. Ctrl-C stops at
    once; finished shards stay. A shard's images are annotated together, so that with another
    `count` the last shard may differ by rounding.

    **Returns** the fields of `Sequences`, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, SHARD)
    missing = [start for start in starts if _read(folder, start) is None]
    with progress_bars() as bars:
        bar = bars.add_task("Sequences", total=count, note="")
        bars.advance(bar, sum(min(SHARD, count - s) for s in starts if s not in set(missing)))
        for done in _run(load, missing, count, folder, min(workers, len(missing))):
            bars.advance(bar, done)
    shards = [_read(folder, start) for start in starts]
    whole = [shard for shard in shards if shard is not None]
    if len(whole) < len(shards):
        raise NogsError(f"{folder} changed while it was read; run the build again")
    return {name: np.concatenate([shard[name] for shard in whole]) for name in whole[0]}


def _run(load: Load, missing: list[int], count: int, folder: Path, workers: int) -> Iterator[int]:
    if workers <= 1:
        if missing:
            _start(load, folder, count, own_process=False)
        yield from map(_work, missing)
        return
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start, initargs=(load, folder, count)
    )
    try:
        for future in as_completed([pool.submit(_work, start) for start in missing]):
            yield future.result()
    except BrokenProcessPool as error:
        raise NogsError(
            "a worker process died (out of memory?); finished shards are kept: run the same "
            "command again, with fewer --workers if it repeats"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Context:
    """What a process annotates with."""

    work: Work
    folder: Path
    count: int


_CONTEXT: list[_Context] = []


def _start(load: Load, folder: Path, count: int, own_process: bool = True) -> None:
    """Prepare this process for `_work`. Workers leave Ctrl-C to the parent and use one thread."""
    if own_process:
        import torch

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        torch.set_num_threads(1)
    _CONTEXT[:] = [_Context(load(), folder, count)]


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(start: int) -> int:
    (context,) = _CONTEXT
    work, rows = context.work, slice(start, min(start + SHARD, context.count))
    made = work.annotator.annotate(work.images[rows], work.numbers[rows].tolist(), work.first)
    arrays = {field.name: np.ascontiguousarray(getattr(made, field.name)) for field in fields(made)}
    with replacing(_path(context.folder, start)) as temporary:
        save_file(arrays, temporary)
    return len(made.cells)


def _path(folder: Path, start: int) -> Path:
    return folder / f"{start:07d}.safetensors"


def _read(folder: Path, start: int) -> dict[str, np.ndarray] | None:
    """A shard's arrays, or None if its file is absent or damaged (and then it is made again)."""
    try:
        return load_file(_path(folder, start))
    except (FileNotFoundError, SafetensorError):
        return None
