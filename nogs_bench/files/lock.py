"""One call at a time in a folder. The system gives a lock back when its holder dies, however."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nogs_bench.errors import NogsError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CANNOT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def locked(path: Path, busy: str, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a lock while the block runs; its file holds the holder's name, and goes at the end.

    Raises `NogsError`, `busy` and who holds it, if another process does; with `wait` waits for it.
    With `shared` others may share it. Where the file system, or Windows, has no locks, a line says
    so.
    """
    absent = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        _said(path)
        yield
        return
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    handle = _open(path, kind if wait else kind | fcntl.LOCK_NB, busy)
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        if not shared:  # a process that waits for the file finds it gone and takes the new one
            path.unlink(missing_ok=True)
            for folder in absent:  # nothing came of it
                if not any(folder.iterdir()):
                    folder.rmdir()
        os.close(handle)


def _open(path: Path, kind: int, busy: str) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, kind)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace")
            os.close(handle)
            raise NogsError(f"{busy} ({holder or 'another process'})") from error
        except OSError as error:
            if error.errno not in CANNOT:
                os.close(handle)
                raise
            _said(path)
            return handle
        os.close(handle)


def _said(path: Path) -> None:
    print(f"{path.parent} cannot be locked: let one call at a time use it", file=sys.stderr)
