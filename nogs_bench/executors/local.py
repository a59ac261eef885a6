"""Shards on this machine: in this process, or in several that share one list."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

from threadpoolctl import threadpool_limits

from nogs_bench.device import cores, gpus_of, on_threads
from nogs_bench.executors.executor import EXECUTORS, Crew, Load, Watch, telling
from nogs_bench.executors.scheduling import (
    Done,
    Event,
    Failed,
    Lost,
    Ready,
    Schedule,
    Told,
    reasoned,
)

STOP_SECONDS = 10


@dataclass(frozen=True)
class LocalExecutor:
    """Processes of this machine; implements `Executor`. One worker is this process itself.

    - `gpus`: what CUDA calls the GPUs that the workers share out among them; empty: no GPU.
    """

    workers: int
    gpus: tuple[str, ...] = ()

    def run(
        self, load: Load, items: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, Any]]:
        if min(self.workers, len(items)) > 1:

            def hire(seat: int) -> _Process:
                return _Process(load, self._gpu(seat))

            yield from Schedule(hire, _wait, items, self.workers, watch).run()
        elif items:
            yield from _run_here(load, items, watch)

    def _gpu(self, seat: int) -> str | None:
        return self.gpus[seat % len(self.gpus)] if self.gpus else None


@EXECUTORS.register("local")
def _local(crew: Crew) -> LocalExecutor:
    if crew.device == "cpu":
        return LocalExecutor(crew.workers or cores())
    gpus = gpus_of(crew.device)
    return LocalExecutor(crew.workers or max(1, len(gpus)), gpus)


def _run_here(load: Load, items: Sequence[Any], watch: Watch | None) -> Iterator[tuple[int, Any]]:
    """One after the other; torch and numpy compute on as many threads afterwards as before."""
    import torch

    with on_threads(torch.get_num_threads()), threadpool_limits(1, "blas"):
        do = load()
        for place, item in enumerate(items):
            with telling(partial(watch, place) if watch else lambda done, note: None):
                report = do(item)
            yield place, report


class _Process:
    """A worker process and this end of its pipe."""

    def __init__(self, load: Load, gpu: str | None):
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, load, gpu), daemon=True)
        with _script_unseen():
            self.process.start()
        theirs.close()

    def give(self, item: Any) -> None:
        try:
            self.pipe.send(item)
        except OSError:
            return  # it died; `_wait` finds out

    def event(self) -> Event:
        try:
            received: Event = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(STOP_SECONDS)
            return Lost(f"exit code {self.process.exitcode}")
        return received

    def dismiss(self) -> None:
        self.process.terminate()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


@contextmanager
def _script_unseen() -> Iterator[None]:
    """Keep a new process from running the caller's script once more, as it else would at its start,
    unless the script asks whether `__name__` is "__main__". Workers then know what it defines."""
    script = sys.modules["__main__"]
    if not _asks(script):
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _asks(script: ModuleType) -> bool:
    try:
        return "__main__" in Path(str(script.__file__)).read_text(encoding="utf-8")
    except (AttributeError, OSError, ValueError):
        return False


def _wait(workers: Sequence[_Process], seconds: float) -> list[tuple[_Process, Event]]:
    by_pipe = {worker.pipe: worker for worker in workers}
    ready = wait(list(by_pipe), seconds)
    return [(by_pipe[pipe], by_pipe[pipe].event()) for pipe in ready]  # type: ignore[index]


def _serve(pipe: Connection, load: Load, gpu: str | None) -> None:
    """A worker's life. Ctrl-C is the parent's affair; a worker ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` is honoured
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    try:
        do = load()
        pipe.send(Ready())
        while True:
            item = pipe.recv()
            with telling(lambda done, note: pipe.send(Told(done, note))):
                report = do(item)
            pipe.send(Done(report))
    except EOFError:
        return
    except Exception as error:
        pipe.send(Failed(reasoned(error, traceback.format_exc())))


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
