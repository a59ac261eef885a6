"""What belongs to a whole process: one call at a time has it."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from nogs_bench.device import give_memory_back, in_turn, on_threads


@contextmanager
def another_thread_s_turn() -> Iterator[None]:
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with in_turn("another"):
            begun.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(60)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_call_waits_for_its_turn_and_may_call_another(capsys: pytest.CaptureFixture[str]) -> None:
    order = []

    @in_turn("mine")
    def mine() -> None:
        with in_turn("inner"):
            order.append("mine")

    with another_thread_s_turn():
        waiting = threading.Thread(target=mine)
        waiting.start()
        time.sleep(0.2)
        order.append("another")
    waiting.join(60)
    assert order == ["another", "mine"]
    assert capsys.readouterr().err.startswith("mine waits for another thread's call")


def test_an_error_gives_the_turn_back() -> None:
    with pytest.raises(KeyboardInterrupt), in_turn("mine"):
        raise KeyboardInterrupt
    with another_thread_s_turn():
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not() -> None:
    with another_thread_s_turn():
        child = os.fork()
        if child == 0:
            with in_turn("child"):
                os._exit(7)
        for _ in range(600):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            time.sleep(0.1)
        else:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child waits for ever")
    assert os.waitstatus_to_exitcode(status) == 7


def test_threads_are_as_before_whatever_happens() -> None:
    before = torch.get_num_threads()
    with on_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(KeyboardInterrupt), on_threads(before + 1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc"
)
def test_what_was_freed_is_given_back():
    """All but the last of many pieces: glibc keeps what lies below one that is in use."""

    def held() -> int:
        (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
        return int(line.split()[1]) * 1024

    pieces = [b"x" * 100_000 for _ in range(3000)]
    last = pieces.pop()
    del pieces
    before = held()
    give_memory_back()
    assert before - held() > 200e6
    assert len(last) == 100_000
