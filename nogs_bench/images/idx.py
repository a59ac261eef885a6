"""The idx format of the MNIST family, plain or gzipped, checked as it is read."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The uint8 array in an idx file that must have the given shape.

    Raises `NogsError` if the file is missing, cut short, longer than its header says, or holds
    something else.
    """
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise NogsError(f"{path} cannot be read ({error}); get the file again") from error
    header = 4 * (1 + len(shape))
    if len(content) < header or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, len(shape))):
        raise NogsError(f"{path} is not an idx file of {len(shape)} dimensions; get it again")
    found = tuple(int(size) for size in np.frombuffer(content, ">u4", len(shape), offset=4))
    if found != shape:
        raise NogsError(f"{path} holds an array of {found}, not {shape}; is it the right file?")
    if len(content) - header != math.prod(shape):
        raise NogsError(
            f"{path} is cut short or damaged: {len(content) - header} of {math.prod(shape)} "
            "bytes of data; get the file again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
