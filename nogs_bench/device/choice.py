"""Which device computes."""

from __future__ import annotations

import os
import sys

from nogs_bench.errors import NogsError

KINDS = ("cpu", "cuda")  # others have been tried with nothing of this package


def choose_device(name: str = "auto") -> str:
    """A torch device name: `name` itself, or for `"auto"` the GPU if there is one, else the CPU.

    A GPU that `"auto"` finds is named on standard error. Raises `NogsError` if the device is no
    CPU or CUDA GPU, or torch does not find it here.
    """
    import torch

    if name == "auto":
        if not torch.cuda.is_available():
            return "cpu"
        print(
            f"on cuda ({torch.cuda.get_device_name()}); --device cpu prevents it", file=sys.stderr
        )
        return "cuda"
    try:
        if torch.device(name).type not in KINDS:
            raise NogsError(f"--device {name} is not supported; use cpu, cuda, cuda:N or auto")
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise NogsError(f"--device {name} is not available here; use cpu or auto") from error
    return "cpu" if device_kind(name) == "cpu" else name  # `cpu:0` is the same


def device_kind(device: str) -> str:
    """What of a device's name artefacts depend on: "cuda" of `cuda` and of any `cuda:N`."""
    return device.partition(":")[0]


def gpus_of(device: str) -> tuple[str, ...]:
    """What CUDA calls the GPUs that workers on `device` share out among them; none on the CPU, or
    where `device` names one GPU that all are to use."""
    import torch

    if torch.device(device) != torch.device("cuda"):
        return ()
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(seen.split(",") if seen else map(str, range(torch.cuda.device_count())))


def cores() -> int:
    """How many cores this process may run on, as far as the system says."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
