"""What is so on this machine. Nothing here judges."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from nogs_bench.device import cores
from nogs_bench.errors import NogsError
from nogs_bench.files import cache_folder, is_offline, package_version, require_hub

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DRIVER, MEMORY = Path("/proc/driver/nvidia/version"), Path("/proc/meminfo")
NEEDED = "needed"


@dataclass(frozen=True)
class Folder:
    """A folder that is written to; `free` is of its disk, bytes; `writable` whether we may."""

    what: str
    path: str
    free: int
    writable: bool


@dataclass(frozen=True)
class Pool:
    """A library that computes in threads, as threadpoolctl finds it, and how many it takes."""

    name: str
    version: str
    threads: int


@dataclass(frozen=True)
class Facts:
    """What `doctor` finds.

    - `versions`: of each library that is needed; None where it is absent.
    - `extras`: extra to the libraries of it that are absent.
    - `devices`: names of the GPUs that torch can use; `cuda` is what torch was built for.
    - `driver`: the NVIDIA driver's version, if one is loaded; `gpu_warning`: what torch said about
      it.
    - `cores`: how many this process may run on; `threads`: torch's own; `settings`: the environment
      variables that say how many to take.
    - `memory`, `memory_free`: bytes; None where the system does not say.
    - `hub`: None if the Hub answers, else why it is not reached.
    """

    package: str
    python: str
    system: str
    versions: Mapping[str, str | None]
    extras: Mapping[str, tuple[str, ...]]
    cuda: str | None
    devices: tuple[str, ...]
    driver: str | None
    gpu_warning: str | None
    cores: int
    threads: int
    pools: tuple[Pool, ...]
    settings: Mapping[str, str]
    folders: tuple[Folder, ...]
    memory: int | None
    memory_free: int | None
    hub: str | None


def gather() -> Facts:
    """Ask the system, torch and the Hub; takes some seconds, and changes nothing."""
    import numpy  # noqa: F401  its BLAS is a pool
    import torch
    from threadpoolctl import threadpool_info

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    by_extra = requirements()
    memory, free = _memory()
    pools = {
        (pool["internal_api"], pool["version"] or "", pool["num_threads"])
        for pool in threadpool_info()
    }
    return Facts(
        package=package_version(),
        python=platform.python_version(),
        system=f"{platform.platform()}, {platform.machine()}",
        versions={name: _version(name) for name in by_extra.pop(NEEDED)},
        extras={
            extra: tuple(name for name in names if _version(name) is None)
            for extra, names in by_extra.items()
        },
        cuda=torch.version.cuda,
        devices=tuple(torch.cuda.get_device_name(number) for number in range(count)),
        driver=_driver(),
        gpu_warning=" ".join(str(said[0].message).split()) if said else None,
        cores=cores(),
        threads=torch.get_num_threads(),
        pools=tuple(Pool(*pool) for pool in sorted(pools)),
        settings={name: os.environ[name] for name in THREADS if name in os.environ},
        folders=_folders(),
        memory=memory,
        memory_free=free,
        hub=_hub(),
    )


def requirements() -> dict[str, list[str]]:
    """Names of the libraries of each extra, and under `NEEDED` of those that all need."""
    found: dict[str, list[str]] = {NEEDED: []}
    for line in requires("nogs-bench") or ():
        extra = re.search(r"""extra == ["']([\w.-]+)["']""", line)
        name = re.split(r"[^\w.-]", line)[0]
        found.setdefault(extra[1] if extra else NEEDED, []).append(name)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    try:
        found = re.search(r"Module\s+([\d.]+)", DRIVER.read_text())
    except OSError:
        return None
    return found[1] if found else None


def _folders() -> tuple[Folder, ...]:
    from huggingface_hub import constants

    wanted = {
        "working folder": Path.cwd(),
        "temporary files": Path(tempfile.gettempdir()),
        "Hub's cache": Path(constants.HF_HUB_CACHE),
        "nogs-bench's cache": cache_folder(),
    }
    return tuple(_folder(what, path) for what, path in wanted.items())


def _folder(what: str, path: Path) -> Folder:
    """Of a folder that is not there yet, what is so of the nearest that is."""
    there = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(there).free
    return Folder(what, str(path), free, there.is_dir() and os.access(there, os.W_OK))


def _memory() -> tuple[int | None, int | None]:
    """All, and what could be had without swapping."""
    try:
        lines = MEMORY.read_text().splitlines()
        pairs = [line.split(":") for line in lines]
        found = {name: int(rest.split()[0]) * 1024 for name, rest in pairs}
        return found["MemTotal"], found["MemAvailable"]
    except (OSError, KeyError):  # not Linux
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (AttributeError, ValueError, OSError):  # Windows
        return None, None


def _hub() -> str | None:
    try:
        require_hub("the Hub")
    except NogsError as error:
        return "HF_HUB_OFFLINE is set" if is_offline() else str(error).removeprefix("the Hub: ")
    return None
