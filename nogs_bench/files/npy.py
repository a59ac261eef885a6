"""Arrays in .npy files of others: never unpickled, and refused in one line if they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from nogs_bench.errors import NogsError


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
