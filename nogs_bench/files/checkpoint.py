"""Checkpoints: a nested dict of tensors and plain values in one safetensors file.

Nothing is pickled. The tensors are the file's own; the tree that holds them, with its plain values
and a sha256 each of the tensors' bytes and of itself, is JSON in the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import replacing
from nogs_bench.files.repairs import repaired

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1


class Damaged(NogsError):
    """A file that is no checkpoint, or not as it was written."""


def save_checkpoint(path: Path, state: Mapping[Any, Any]) -> None:
    """Write `state` to `path`, whole or not at all.

    `state` nests dicts (keys: strings or integers), lists and tuples of tensors, integers, floats,
    booleans, strings and None: a module's or an Adam optimiser's `state_dict()`, a
    `torch.Generator`'s `get_state()`. Raises `TypeError` at anything else.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    tree = _encode(state, "", tensors)
    record = {"format": FORMAT, "sha256": _digest(tensors), "tree": tree}
    record["tree_sha256"] = _tree_digest(tree)
    content = save(tensors, metadata={"checkpoint": json.dumps(record)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_checkpoint(path: Path) -> dict[Any, Any]:
    """What `save_checkpoint` wrote to `path`, tensors on the CPU.

    The file is opened and read once: another may take its place meanwhile. Raises `NogsError` if
    it is missing, cut, altered or something else. Of a file that was written before the tree had a
    digest, only altered tensors are found.
    """
    return _decoded(path, _read(path)[0])


def resumed(path: Path) -> dict[Any, Any] | None:
    """What `save_checkpoint` wrote to `path`; None if there is nothing, or nothing sound.

    A damaged checkpoint is deleted, and a line says so: the work begins again.
    """
    while path.is_file():
        try:
            content, read = _read(path)
        except Missing:  # its runs are done
            return None
        try:
            return _decoded(path, content)
        except Damaged:
            if not _is_still(path, read):  # a whole one has come in its place
                continue
            path.unlink(missing_ok=True)
            repaired([path], "was damaged: that work begins again")
            return None
    return None


class Missing(NogsError):
    """There is no such file."""


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """A file's content, and which file that was."""
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno())
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if isinstance(error, PermissionError) and path.is_file():
            raise
        raise Missing(f"no checkpoint {path}") from error


def _is_still(path: Path, read: os.stat_result) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, read) and now.st_mtime_ns == read.st_mtime_ns


def _decoded(path: Path, content: bytes) -> dict[Any, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        tensors = load(content)
        record = json.loads(metadata["checkpoint"])
        if record["format"] != FORMAT:
            raise NogsError(
                f"{path} is a checkpoint of format {record['format']}, not {FORMAT}; delete it"
            )
        if record["sha256"] != _digest(tensors):
            raise ValueError("checksum")
        if "tree_sha256" in record and record["tree_sha256"] != _tree_digest(record["tree"]):
            raise ValueError("checksum of the tree")
        state = _decode(record["tree"], tensors)
    except NogsError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise Damaged(f"{path} is damaged or no checkpoint; delete it and run again") from error
    if not isinstance(state, dict):
        raise Damaged(f"{path} is damaged or no checkpoint; delete it and run again")
    return state


def _encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON: plain values as they are, the rest as `[kind, content]`."""
    import torch

    if isinstance(value, torch.Tensor):
        # A copy: safetensors refuses two tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        # Layout is kept: fused Adam pairs a parameter's memory with its moments' as it lies.
        if value.is_contiguous() or torch.empty_like(value).stride() != value.stride():
            return ["tensor", name]
        return ["strided", [name, list(value.stride())]]
    if isinstance(value, Mapping):
        items = []
        for key, item in value.items():
            if not isinstance(key, str | int):
                raise TypeError(f"{name}: a checkpoint's keys are strings or integers, not {key!r}")
            items.append([key, _encode(item, f"{name}/{key}", tensors)])
        return ["dict", items]
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{name}/{at}", tensors) for at, item in enumerate(value)]
        return [type(value).__name__, items]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: a checkpoint cannot hold a {type(value).__name__}")


def _decode(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, content = tree
    return _DECODERS[kind](content, tensors)


def _strided(content: Any, tensors: Mapping[str, Tensor]) -> Tensor:
    import torch

    name, stride = content
    value = tensors[name]
    return torch.empty_strided(value.shape, stride, dtype=value.dtype).copy_(value)


_DECODERS = {
    "tensor": lambda name, tensors: tensors[name],
    "strided": _strided,
    "dict": lambda items, tensors: {key: _decode(item, tensors) for key, item in items},
    "list": lambda items, tensors: [_decode(item, tensors) for item in items],
    "tuple": lambda items, tensors: tuple(_decode(item, tensors) for item in items),
}


def _tree_digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()


def _digest(tensors: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
