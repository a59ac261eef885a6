"""Who does a stage's shards: processes of this machine, or a cluster's.

A stage is a list of items, plain values that each name a shard, and a `Load`: called once by every
worker, it gives what does an item. An item's outcome depends on the item alone, so that neither the
number of workers, nor which of them does it, nor how often, can change a byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry

Do = Callable[[Any], Any]
"""Does an item and gives something small to report; what it makes it writes."""

Load = Callable[[], Do]
"""Picklable."""

Watch = Callable[[int, int, str], None]
"""Is told the place of an item, how far it has come, and a few words or ""."""

TELL_SECONDS = 0.5
_tell: ContextVar[Callable[[int, str], None]] = ContextVar("tell", default=lambda done, note: None)


class Executor(Protocol):
    """Does items with workers of one kind.

    - `workers`: how many at once.
    """

    @property
    def workers(self) -> int: ...

    def run(
        self, load: Load, items: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Do all `items`; yield the place of each, and what it reported, in the order of their end.

        `watch` hears what items `tell` meanwhile, now and then.
        Items are handed out one by one. One whose worker dies, or that takes far longer than the
        others while a worker is idle, is done again elsewhere. Raises what an item raised, and
        `NogsError` if an item's worker dies again and again.
        """
        ...


@dataclass(frozen=True)
class Crew:
    """What an executor is made from.

    - `workers`: how many; None as many as there are cores, or GPUs if `device` is one.
    - `device`: where the work computes.
    - `address`: of a cluster, where the executor has one; None what it finds, or one of its own.
    """

    workers: int | None = None
    device: str = "cpu"
    address: str | None = None


EXECUTORS: Registry[Callable[[Crew], Executor]] = Registry("executor", group="nogs_bench.executors")


def open_executor(name: str, crew: Crew) -> Executor:
    """The executor called `name`. Raises `NogsError` if there is none, or it cannot be had."""
    if crew.workers is not None and not isinstance(crew.workers, int):
        raise NogsError(f"workers must be a whole number, not {crew.workers!r}")
    if crew.workers is not None and crew.workers < 1:
        raise NogsError(f"workers must be at least 1, got {crew.workers}")
    return EXECUTORS[name](crew)


def tell(done: int, note: str = "") -> None:
    """Say how far the item at work has come, and will go on from if its worker dies."""
    _tell.get()(done, note)


@contextmanager
def telling(say: Callable[[int, str], None]) -> Iterator[None]:
    """Pass on what the item at work tells: words always, else twice a second at most."""
    last = 0.0

    def seldom(done: int, note: str) -> None:
        nonlocal last
        if note or time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            say(done, note)

    before = _tell.set(seldom)
    try:
        yield
    finally:
        _tell.reset(before)


def single_thread(device: str) -> None:
    """Let numpy compute on one thread, and on a CPU torch: threads that wait for each other are
    slower, and sums must not depend on how many there are."""
    threadpool_limits(1, "blas")
    if device == "cpu":
        import torch

        torch.set_num_threads(1)
