"""Items for executors, and faults to go with them; quick to import in a worker."""

from __future__ import annotations

import errno
import os
import signal
import time
from functools import partial

from nogs_bench.device import is_determined
from nogs_bench.errors import NogsError
from nogs_bench.executors.executor import tell


def load(folder, fault=None):
    """What does an item: leaves a line that says who did it."""
    return partial(do, folder, fault)


def do(folder, fault, item):
    with (folder / str(item)).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if fault is not None:
        fault(folder, item)
    return item * item


def die_once(folder, item):
    if item == 3 and len((folder / "3").read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def die(folder, item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def hang_once(folder, item):
    if item == 3 and len((folder / "3").read_text().splitlines()) == 1:
        time.sleep(600)


def complain(folder, item):
    if item == 3:
        raise NogsError("item 3 is bad")


def fill_the_disk(folder, item):
    if item == 3:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def hang(folder, item):
    time.sleep(600)


def talk(folder, item):
    for done in range(1, 4):
        tell(done, f"{done} of {item}")


def slowly(folder, load):
    """A worker whose items take at least a second, and whose id is a file's name in `folder`."""
    (folder / str(os.getpid())).touch()
    doing = load()

    def wait(item):
        time.sleep(1)
        return doing(item)

    return wait


def load_asking():
    """Whether it, and what does an item, compute with deterministic algorithms alone."""
    at_first = is_determined()
    return lambda item: [at_first, is_determined()]
