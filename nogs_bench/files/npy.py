"""Arrays in .npy files: those of others are never unpickled, and refused in one line if they are
damaged; large new ones have their room on the disk before anything is written to them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from nogs_bench.errors import NogsError

# Of file systems that cannot take room beforehand.
CANNOT = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


def read_array(path: Path, mode: Literal["c"] | None = None) -> np.ndarray:
    """The array in a .npy file; with mode "c" memory-mapped, and written to only in memory.

    Raises `NogsError` if there is none, or it is an archive or holds objects.
    """
    try:
        array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except Exception as error:  # numpy's reader of headers raises what Python's parser does
        raise NogsError(f"{path} cannot be read as a .npy file of numbers: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise NogsError(f"{path} is an archive, not a .npy file of numbers")
    return array


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy file of zeros, memory-mapped to be written to, for which there is room.

    Raises `OSError` with `errno.ENOSPC` and the path, and leaves no file, if there is none.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    try:
        with path.open("r+b") as file:
            take_room(file, path.stat().st_size, path)
    except OSError:
        path.unlink()
        raise
    return array


def require_room(folder: Path, needed: int, what: str, remedy: str) -> None:
    """Raise `NogsError` if the disk of `folder` has less than `needed` bytes free: `what` needs
    them, and `remedy` says what to do."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NogsError(
            f"{what} {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free; {remedy}"
        )


def take_room(file: IO[bytes], size: int, path: Path) -> None:
    """Make a file that is open for writing `size` bytes long, and take the room on its disk.

    A file that is memory-mapped without its room ends the process ("bus error") once the disk is
    full. Raises `OSError` with `errno.ENOSPC` and the `path` if there is no room.
    """
    file.truncate(size)
    take: Any = getattr(os, "posix_fallocate", None)  # not on macOS and Windows
    if take is None or not size:
        return
    try:
        take(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in CANNOT:
            raise OSError(error.errno, error.strerror, str(path)) from error
