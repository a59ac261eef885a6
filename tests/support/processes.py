"""Python in processes and caches of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub_double import TOKEN
from places import SUPPORT


def client(hub_url: str, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """The environment of a process that knows no other Hub, and has nothing in its cache."""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub_url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(SUPPORT),
    }
    env.pop("HF_HUB_OFFLINE", None)
    return env | ({"HF_TOKEN": token} if token else {})


def python(code: str, env: dict[str, str], cwd: Path, *arguments: object) -> Any:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=600)


def program(env: dict[str, str], cwd: Path, *arguments: object) -> Any:
    code = "from nogs_bench.cli import main; main()"
    return python(code, env, cwd, *arguments)
