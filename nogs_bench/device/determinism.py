"""The same bytes from a GPU each time, where torch has algorithms for that."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from nogs_bench.errors import NogsError

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
FIXED = (":4096:8", ":16:8")  # of CUBLAS: with these, its sums are always added in one order
REFUSED = re.compile(r"(\S+) does not have a deterministic implementation")


@contextmanager
def determined(wanted: bool = True) -> Iterator[None]:
    """Meanwhile torch uses deterministic algorithms alone, if `wanted`; then all is as before.

    On a GPU the same work then gives the same bytes each time, with the same GPU, driver and
    version of torch. On a CPU, where this package computes in one order anyway, no byte changes.

    Raises `NogsError` in place of torch's error where something has no deterministic algorithm on
    a GPU, or where this process multiplied matrices on the GPU before, when cuBLAS had no fixed
    workspace: cuBLAS reads that once.
    """
    if not wanted:
        yield
        return
    import torch

    on, lenient = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn, workspace = torch.backends.cudnn, os.environ.get(CUBLAS)
    chosen = cudnn.deterministic, cudnn.benchmark
    if workspace not in FIXED:
        os.environ[CUBLAS] = FIXED[0]
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    except RuntimeError as error:
        if (reason := _reason(str(error))) is None:
            raise
        raise NogsError(f"--deterministic: {reason}") from error
    finally:
        torch.use_deterministic_algorithms(on, warn_only=lenient)
        cudnn.deterministic, cudnn.benchmark = chosen
        if workspace is None:
            del os.environ[CUBLAS]
        else:
            os.environ[CUBLAS] = workspace


def is_determined() -> bool:
    """Whether torch now uses deterministic algorithms alone."""
    import torch

    return torch.are_deterministic_algorithms_enabled()


def _reason(message: str) -> str | None:
    """What torch refused to do, and what to do about it; None if that was something else."""
    if found := REFUSED.search(message):
        return (
            f"{found[1]} has no deterministic version in this torch; leave the option out, use "
            "--device cpu, or try a newer torch"
        )
    if CUBLAS in message:
        return (
            f"this process used the GPU before without it; begin a new one, or set {CUBLAS}="
            f"{FIXED[0]} from the start"
        )
    return None
