"""What `pip install` brings: the wheel alone, in an environment and a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

import pytest

from places import ROOT

PARTS = ("nogs_bench", "builders", "leaderboard")
pytestmark = pytest.mark.slow
Run = Callable[..., str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    skip = shutil.ignore_patterns(
        "__pycache__", "*.egg-info", ".*", "build", "dist", "nogs", "results"
    )
    shutil.copytree(ROOT, source, ignore=skip)
    out = source.parent / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of a fresh environment that holds the wheel and sees this one's libraries."""
    home = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    programs = home / "venv/bin"
    install = [str(programs / "pip"), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    (packages,) = (home / "venv/lib").glob("python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n", encoding="utf-8")
    work = home / "work"
    work.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*command: object) -> str:
        program = [str(programs / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(program, cwd=work, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_the_wheel_holds_the_package_and_nothing_else(built: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
    info = metadata.partition("/")[0]
    assert {name.partition("/")[0] for name in names} == {"nogs_bench", info}
    assert "nogs_bench/py.typed" in names
    for part in PARTS:
        inside = "nogs_bench" if part == "nogs_bench" else f"nogs_bench/{part}"
        modules = {p.relative_to(ROOT / part).as_posix() for p in (ROOT / part).rglob("*.py")}
        assert {f"{inside}/{module}" for module in modules} <= names
    assert not [name for name in names if "test" in Path(name).name and name.endswith(".py")]
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    extras = about.get_all("Provides-Extra")
    assert extras is not None
    assert {"diffusers", "docs", "hmc"} <= set(extras)
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/README.md") for name in archive.getnames())
    assert wheel.stat().st_size < 5e6


def test_the_installed_wheel_is_what_runs(run: Run) -> None:
    where = run("python", "-c", "import nogs_bench; print(nogs_bench.__file__)").strip()
    assert "/elsewhere" in where
    assert str(ROOT) not in where
    assert run("nogs-bench", "--version").startswith("nogs-bench ")
    everything = (
        "import pkgutil, importlib, nogs_bench\n"
        "for module in pkgutil.walk_packages(nogs_bench.__path__, 'nogs_bench.'):\n"
        "    importlib.import_module(module.name)\n"
        "print([n for n in nogs_bench.__all__ if getattr(nogs_bench, n) is None])"
    )
    assert run("python", "-c", everything) == "[]\n"


def test_the_readme_s_lines_work_elsewhere(run: Run) -> None:
    """As the README has them, but for their length."""
    assert "cluttered-digits" in run("nogs-bench", "tasks")
    assert "ps-nogs" in run("nogs-bench", "methods")
    short = ("--seeds", "1", "--iterations", "40")
    assert "ps-nogs" in run("nogs-bench", "evaluate", *short)
    assert "ram" in run("nogs-bench", "score", "results")
    run("nogs-bench", "plot", "curves", "results", "--out", "curves.png")
    code = (
        "import nogs_bench\n"
        "rows = nogs_bench.load('cluttered-digits')['train'].with_format('torch')\n"
        "scores = nogs_bench.score('results')\n"
        "print(rows[0]['glimpses'].shape, len(scores.rows))"
    )
    assert run("python", "-c", code) == "torch.Size([5, 2]) 2\n"
    shipped = "import nogs_bench.sequences.loading as a; print(a.SHIPPED / 'cluttered-digits')"
    folder = run("python", "-c", shipped).strip()
    assert "report.html is ready" in run(
        "nogs-bench", "report", folder, "--join-images", "--out", "report.html"
    )
    assert "Would be published" in run(
        "nogs-bench", "publish", folder, "--repo", "me/digits", "--dry-run"
    )
