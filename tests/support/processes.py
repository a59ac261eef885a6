"""Python in processes and caches of their own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

from hub_double import TOKEN
from places import SUPPORT

# What takes long to import, and reads nothing of the environment that tests change. On Linux
# processes fork from one that has it.
PRELOADED = ["matplotlib.figure", "PIL.Image", "pyarrow.parquet", "scipy.special", "torch", "typer"]
FORKS = sys.platform == "linux"
TIMEOUT = 600


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


def python(code: str, env: dict[str, str], cwd: Path, *arguments: object) -> CompletedProcess[str]:
    """What `python -c CODE ARGUMENTS` does."""
    given = [*map(str, arguments)]
    if not FORKS:
        command = [sys.executable, "-c", code, *given]
        return subprocess.run(
            command, env=env, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT
        )
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [os.path.join(folder, name) for name in ("out", "err")]
        child = server.Process(target=_run, args=(code, env, str(cwd), given, outputs))
        child.start()
        child.join(TIMEOUT)
        if child.exitcode is None:
            child.kill()
            child.join()
        out, err = (Path(path).read_text(encoding="utf-8") for path in outputs)
        assert child.exitcode is not None
        return CompletedProcess(given, child.exitcode, out, err)


def _run(
    code: str, env: dict[str, str], cwd: str, arguments: list[str], outputs: list[str]
) -> None:
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["-c", *arguments]
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()


def program(env: dict[str, str], cwd: Path, *arguments: object) -> CompletedProcess[str]:
    code = "from nogs_bench.cli import main; main()"
    return python(code, env, cwd, *arguments)
