"""Other people's weights, read without unpickling anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from nogs_bench.errors import NogsError


def _read_torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": load_file,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".model": _read_torch,
}


def load_weights(path: Path, roots: Collection[str] = ()) -> dict[str, Tensor]:
    """Names to tensors of a safetensors file or a torch checkpoint that holds tensors only.

    **Arguments**

    - `roots`: what the table is called in a checkpoint that holds several; one that is the table
      itself is taken as it is.

    A prefix `module.` of every name (torch's `DataParallel`) is removed. Raises `NogsError` if the
    file is missing, damaged, or would have to be unpickled.
    """
    if path.suffix not in READERS:
        raise NogsError(f"{path}: weights must be one of {', '.join(READERS)}")
    try:
        stored = READERS[path.suffix](path)
    except FileNotFoundError as error:
        raise NogsError(f"no weights {path}") from error
    except Exception as error:  # a damaged file breaks torch's reader in many ways
        raise NogsError(
            f"{path} is damaged, or holds more than tensors and is not loaded for safety; get it "
            "again, or save its tensors alone as safetensors"
        ) from error
    for root in roots:
        if isinstance(stored, Mapping) and root in stored:
            stored = stored[root]
    if not isinstance(stored, Mapping) or not all(isinstance(v, Tensor) for v in stored.values()):
        raise NogsError(f"{path} holds no table of tensors; is it a network's checkpoint?")
    prefix = "module."
    if all(name.startswith(prefix) for name in stored):
        stored = {name.removeprefix(prefix): value for name, value in stored.items()}
    return dict(stored)


def check_shapes(
    weights: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path, what: str
) -> None:
    """Raise `NogsError` at the first name of `expected` that is absent or of another shape."""
    for name, shape in expected.items():
        if name not in weights:
            raise NogsError(f"{path} has no {name}; is it a checkpoint of {what}?")
        found = tuple(weights[name].shape)
        if found != shape:
            raise NogsError(f"{path}: {name} has shape {found}, expected {shape} for {what}")


def require_finite(weights: Mapping[str, Tensor], what: str) -> None:
    """Raise `NogsError` if the weights of a network that was trained, `what`, are not finite."""
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise NogsError(f"{what} diverged: its weights are not finite; give another --seed")
