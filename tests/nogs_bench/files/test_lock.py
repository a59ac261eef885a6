from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.files.lock import locked

HIDDEN = """
import os, sys
sys.modules["fcntl"] = None  # as on Windows
del os.sched_getaffinity  # as on macOS
from nogs_bench.cli import main
sys.argv = ["nogs-bench", *sys.argv[1:]]
main()
"""


def run_hidden(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDDEN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_command_runs_where_there_is_neither_fcntl_nor_sched_getaffinity() -> None:
    done = run_hidden("tasks", "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_evaluate_runs_where_there_is_neither_fcntl_nor_sched_getaffinity(tmp_path: Path) -> None:
    """The README's first command, with its images alone and a run of one iteration."""
    out, one = str(tmp_path / "out"), ("--iterations", "1", "--seeds", "1", "--methods", "ram")
    short = ("training.rollouts=1", "training.evaluation_period=1", "training.batch_size=2")
    sets = [part for setting in short for part in ("--set", setting)]
    done = run_hidden("evaluate", "--protocol", "scratch", *one, *sets, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_runs_as_the_program() -> None:
    command = [sys.executable, "-m", "nogs_bench", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("nogs-bench ")


HOLD = """
import sys, time
from pathlib import Path
from nogs_bench.files.lock import locked
with locked(Path(sys.argv[1]), "busy", shared=bool(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("shared", ["", "shared"])
def test_a_lock_ends_with_its_holder(shared: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path), shared]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(NogsError, match=rf"busy \(process {other.pid} on"),
            locked(path, "busy"),
        ):
            pass
        if shared:
            with locked(path, "busy", shared=True):
                pass
        other.kill()
    with locked(path, "busy"):
        assert f"process {os.getpid()} on" in path.read_text()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_only_the_lock_needed_go(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b" / "lock", "busy"):
        pass
    assert list(tmp_path.iterdir()) == []
