"""Random numbers that depend on a key alone, never on global state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(*key: int | str) -> int:
    """A seed in 0 .. 2^63 - 1 from a key, such as (seed, "validation")."""
    digest = hashlib.sha256("/".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_generator(device: torch.device, *key: int | str) -> torch.Generator:
    """A generator on `device` seeded by the key."""
    import torch

    return torch.Generator(device).manual_seed(derive(*key))


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Meanwhile torch's global randomness begins at `seed`; afterwards it is as before.

    The CPU's and, if `device` is a GPU, that one's; no other GPU is asked or touched.
    """
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for each in devices:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


def epoch_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """int64 (images,): the order in which epoch `epoch` of a run with `seed` visits its images."""
    return np.random.default_rng([seed, epoch]).permutation(images)
