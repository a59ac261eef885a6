"""Arrays of one shard in a file that says itself whether it is whole."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save_file

from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import replacing

Arrays = Mapping[str, np.ndarray]
DTYPES = {"U8": "u1", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write as safetensors, whole or not at all, with a sha256 of the arrays."""
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary:
        save_file(kept, temporary, metadata={"sha256": _digest(kept)})


def read_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Some of the arrays, or all. Raises `NogsError` if the file is absent or damaged."""
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in names or file.keys()}
    except (OSError, SafetensorError) as error:
        raise NogsError(f"{path} changed while it was read; run the build again") from error


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a safetensors file, memory-mapped: only what is used is read, and written to
    only in the process's own copy. Raises `NogsError` if the file is absent or damaged."""
    try:
        arrays = {}
        with path.open("rb") as file:  # once: another may take the file's place meanwhile
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
            for name in (key for key in header if key != "__metadata__"):
                begin, shape = header[name]["data_offsets"][0], tuple(header[name]["shape"])
                dtype = DTYPES[header[name]["dtype"]]
                arrays[name] = np.empty(shape, dtype)
                if arrays[name].size:
                    mapped = np.memmap(file, dtype, "c", 8 + length + begin, shape)
                    arrays[name] = np.asarray(mapped)
        return arrays
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise NogsError(f"{path} is missing or damaged; run the build again") from error


def sound_arrays(path: Path) -> bool:
    """Whether the file is there, whole, and as it was written."""
    try:
        content = path.read_bytes()  # once: another may take the file's place meanwhile
        length = int.from_bytes(content[:8], "little")
        recorded = json.loads(content[8 : 8 + length])["__metadata__"]["sha256"]
        return recorded == _digest(load(content))
    except (FileNotFoundError, SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _digest(arrays: Arrays) -> str:
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name} {array.dtype} {array.shape};".encode())
        state.update(array.data)
    return state.hexdigest()
