"""Which device computes."""

from __future__ import annotations

from nogs_bench.errors import NogsError


def choose_device(name: str = "auto") -> str:
    """A torch device name: `name` itself, or for `"auto"` the GPU if there is one, else the CPU.

    Raises `NogsError` if torch does not know the device or does not find it here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise NogsError(f"--device {name} is not available here; use cpu or auto") from error
    return name
