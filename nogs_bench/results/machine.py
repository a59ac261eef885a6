"""What a result records of where it was made."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from nogs_bench.device import is_determined
from nogs_bench.files import package_version
from nogs_bench.results.result import Environment


def environment(device: torch.device) -> Environment:
    """Versions and hardware of this process."""
    cuda = device.type == "cuda"
    return Environment(
        package=package_version(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=device.type,
        deterministic=True if is_determined() else None,
        hardware=torch.cuda.get_device_name(device) if cuda else _processor(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
