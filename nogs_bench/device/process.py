"""What belongs to a whole process: torch's number of threads, its modes and its hooks."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_TURN = RLock()


def _renew() -> None:
    global _TURN
    _TURN = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)  # whoever had the turn is not there


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Meanwhile torch computes on so many threads, and afterwards on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def in_turn(what: str) -> Iterator[None]:
    """Meanwhile no other thread of this process is `in_turn`: each would change what is the
    process's for the other, such as threads, deterministic algorithms, and what counts work.

    A call that has to wait says so on standard error. As a decorator, of a whole function.
    """
    turn = _TURN
    if not turn.acquire(blocking=False):
        print(
            f"{what} waits for another thread's call; give each a process of its own",
            file=sys.stderr,
        )
        turn.acquire()
    try:
        yield
    finally:
        turn.release()


def give_memory_back() -> None:
    """Give memory that was freed back to the system.

    glibc keeps it for later: where threads allocate and free large arrays side by side, more and
    more of it. Elsewhere nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
