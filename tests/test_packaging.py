"""What `pip install` brings: the wheel alone, in an environment and a directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from email.parser import Parser
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
import typer.main

from nogs_bench.cli import app
from places import ROOT

ELSEWHERE = "elsewhere"
# Where the wheel has what the repository has at its top.
INSIDE = {"nogs_bench": "nogs_bench", **{f: f"nogs_bench/{f}" for f in ("builders", "leaderboard")}}
APART = ("leaderboard/results/", ".github/")  # of the repository alone
WRITTEN = {"PKG-INFO", "setup.cfg"}  # by setuptools, into the sdist
ABOUT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(ABOUT["optional-dependencies"]) - {"dev"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository"),
]
Run = Callable[..., str]


def tracked() -> set[str]:
    """What git knows of, and is there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, with what lies about in one that was worked in."""
    folder = tmp_path_factory.mktemp("source") / "checkout"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
        (folder / name).chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)
    for junk in ("builders/__pycache__/a.cpython-311.pyc", "nogs/x.parquet", ".venv/lib/a.py"):
        (folder / junk).parent.mkdir(parents=True, exist_ok=True)
        (folder / junk).write_bytes(b"")
    return folder


def build(source: Path, out: Path, *kinds: str) -> Path:
    """What `.ci/distribution` does, but for the checks, with this environment's setuptools."""
    command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(out)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "SetuptoolsDeprecationWarning" not in done.stderr + done.stdout
    return out


@pytest.fixture(scope="module")
def built(source: Path) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    return build(source, source.parent / "dist")


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of a fresh environment that holds the wheel and sees this one's libraries."""
    home = tmp_path_factory.mktemp(ELSEWHERE)
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


def test_the_sdist_holds_what_is_tracked(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    shipped = {name for name in names - WRITTEN if not name.startswith("nogs_bench.egg-info/")}
    assert shipped == {name for name in tracked() if not name.startswith(APART)}
    assert sdist.stat().st_size < 5e6


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
    info = metadata.partition("/")[0]
    wanted = set()
    for name in tracked():
        top, _, rest = name.partition("/")
        if top in INSIDE and not name.startswith(APART):
            wanted.add(f"{INSIDE[top]}/{rest}")
    assert {name for name in names if not name.startswith(f"{info}/")} == wanted
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert {*EXTRAS, "dev"} == set(about.get_all("Provides-Extra") or ())
    assert about["Version"] == ABOUT["version"]
    assert wheel.stat().st_size < 5e6


def test_a_wheel_is_the_same_again_and_from_the_sdist(wheel: Path, source: Path) -> None:
    for path in source.rglob("*.py"):
        os.utime(path, (1.6e9, 1.6e9))  # another checkout, another day
    again = build(source, source.parent / "again", "--wheel")
    assert (again / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_index_s_checks_pass(built: Path, wheel: Path) -> None:
    files = [str(path) for path in built.iterdir()]
    for check in (["twine", "check", "--strict", *files], ["check_wheel_contents", str(wheel)]):
        done = subprocess.run(
            [sys.executable, "-m", *check], capture_output=True, text=True, cwd=built
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_wheel_is_what_runs(run: Run) -> None:
    where = run("python", "-c", "import nogs_bench; print(nogs_bench.__file__)").strip()
    assert f"/{ELSEWHERE}" in where
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
    shipped = "import nogs_bench.sequences.finding as a; print(a.SHIPPED / 'cluttered-digits')"
    folder = run("python", "-c", shipped).strip()
    assert "report.html is ready" in run(
        "nogs-bench", "report", folder, "--join-images", "--out", "report.html"
    )
    assert "Would be published" in run(
        "nogs-bench", "publish", folder, "--repo", "me/digits", "--dry-run"
    )


BLOCK = """\
from importlib.machinery import PathFinder

found = PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {names} else found(name, path, target)


PathFinder.find_spec = staticmethod(find_spec)
"""


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, str]]:
    """Run the program where no extra is installed: exit status, and what it said."""
    needed: dict[str, set[str]] = {}
    for line in requires("nogs-bench") or ():
        extra = re.search(r"extra == .(\w+).", line)
        needed.setdefault(extra[1] if extra else "", set()).add(re.split(r"[^\w.-]", line)[0])
    only = set().union(*(needed[extra] for extra in EXTRAS)) - needed[""]
    modules = {name for name, of in packages_distributions().items() if only & set(of)}
    assert {"pyro", "ray", "s3fs"} <= modules
    blocks = tmp_path_factory.mktemp("blocks")
    (blocks / "sitecustomize.py").write_text(BLOCK.format(names=sorted(modules)))
    program = run("python", "-c", "import sys; print(sys.executable)").strip()
    env = {**os.environ, "PYTHONPATH": str(blocks)}

    def call(*arguments: object) -> tuple[int, str]:
        command = [program, "-c", "from nogs_bench.cli import main; main()", *map(str, arguments)]
        done = subprocess.run(command, cwd=blocks, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return call


def test_without_extras_every_command_answers(plain: Callable[..., tuple[int, str]]) -> None:
    def leaves(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
        inside = getattr(command, "commands", None)  # of a group
        if inside is None:
            yield path
        for name, inner in (inside or {}).items():
            yield from leaves(inner, *path, name)

    commands = list(leaves(typer.main.get_command(app)))
    assert ("leaderboard", "validate") in commands
    for path in commands:
        status, said = plain(*path, "--help")
        assert (status, "Usage" in said) == (0, True), (path, said)
    assert "cluttered-digits" in plain("tasks")[1]
    assert plain("leaderboard", "validate", ROOT / "leaderboard" / "results")[0] == 0
    assert plain("build", "cluttered-digits", "--plan")[0] == 0


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("ray", ("evaluate", "--executor", "ray", "--iterations", "2", "--out", "r")),
        ("hmc", ("build", "cluttered-digits", "--completion", "hmc", "--images", "2")),
        ("s3", ("evaluate", "--iterations", "2", "--out", "r", "--store", "s3://bucket/folder")),
    ],
)
def test_a_missing_extra_is_one_line(
    plain: Callable[..., tuple[int, str]], extra: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    more = ("--out", tmp_path / "built", "--posterior", "bank") if arguments[0] == "build" else ()
    status, said = plain(*arguments, *more)
    last = said.strip().splitlines()[-1]
    assert (status, last.startswith("error: ")) == (1, True), said
    assert f"pip install 'nogs-bench[{extra}]'" in last
    assert "Traceback" not in said
