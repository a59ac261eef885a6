"""One call at a time in a folder. The system gives a lock back when its holder dies, however."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nogs_bench.errors import NogsError

CANNOT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
NAME_AT = 1  # byte 0 is what Windows locks, and nobody else may read
POLL_SECONDS, GRACE_SECONDS = 0.02, 2.0


@contextmanager
def locked(path: Path, busy: str, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold a lock while the block runs; its file holds the holder's name, and goes at the end.

    Raises `NogsError`, `busy` and who holds it, if another process does; with `wait` waits for it.
    With `shared` others may share it. Where the file system has no locks, a line says so.
    """
    absent = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    held, handle = (_share if shared else _alone)(path, busy, wait)
    try:
        yield
    finally:
        _release(held, handle)
        if not shared:
            for folder in absent:  # nothing came of it
                if not any(folder.iterdir()):
                    folder.rmdir()


def _alone(path: Path, busy: str, wait: bool) -> tuple[Path, int]:
    """The lock itself, while nobody shares it."""
    while True:
        handle = _open(path, busy, wait)
        sharers = [_holder(each) for each in path.parent.glob(f"{path.name}.shared-*")]
        if not any(sharers):
            return path, handle
        _release(path, handle)
        if not wait:
            raise NogsError(f"{busy} ({next(filter(None, sharers))})")
        time.sleep(POLL_SECONDS)


def _share(path: Path, busy: str, wait: bool) -> tuple[Path, int]:
    """A lock of one's own beside it, made while one holds the lock itself."""
    until = time.monotonic() + GRACE_SECONDS  # another that begins to share is soon done
    while True:
        try:
            gate = _open(path, busy, wait)
            break
        except NogsError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_SECONDS)
    own = path.with_name(f"{path.name}.shared-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        return own, _open(own, busy, wait)
    finally:
        _release(path, gate)


def _open(path: Path, busy: str, wait: bool) -> int:
    """A handle of the locked file, which holds this process's name."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        if not _lock(handle, path, wait):
            holder = _name_in(handle)
            os.close(handle)
            raise NogsError(f"{busy} ({holder or 'another process'})")
        # Who waited for the file of a call that has ended finds it gone, and takes the new one.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            os.ftruncate(handle, NAME_AT)
            os.lseek(handle, NAME_AT, os.SEEK_SET)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return handle
        os.close(handle)


def _lock(handle: int, path: Path, wait: bool) -> bool:
    from filelock import lock_descriptor

    try:
        return lock_descriptor(handle, blocking=wait)
    except OSError as error:
        if error.errno not in CANNOT:
            os.close(handle)
            raise
        print(f"{path.parent} cannot be locked: let one call at a time use it", file=sys.stderr)
        return True


def _holder(path: Path) -> str | None:
    """Who holds a lock; None, and the file is removed, if its holder has died."""
    from filelock import lock_descriptor

    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:  # it has just ended
        return None
    try:
        if not lock_descriptor(handle, blocking=False):
            return _name_in(handle) or "another process"
        path.unlink(missing_ok=True)
    except OSError:  # as in `_lock`: where files cannot be locked
        return None
    finally:
        os.close(handle)
    return None


def _name_in(handle: int) -> str:
    try:
        os.lseek(handle, NAME_AT, os.SEEK_SET)
        return os.read(handle, 200).decode(errors="replace")
    except OSError:
        return ""


def _release(path: Path, handle: int) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows keeps what is open
        os.close(handle)
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # another waits for it
            return
    else:
        os.close(handle)
