"""Scripts in `benchmarks/` take the options that pages call them with, and run at a small size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from places import ROOT

FOLDER = ROOT / "benchmarks"
SCRIPTS = {path.name for path in FOLDER.glob("*.py")}
# A command on one line, or on several that end in a backslash or, in a docstring, stand in.
CALL = re.compile(r"benchmarks/(\w+\.py)((?:(?: |\s*\\\n\s*|\n {8,})[^\s`|)]+)*)")
NAMING = sorted(
    path
    for path in (
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "leaderboard/RULES.md")),
        *FOLDER.glob("*.py"),
    )
    if CALL.search(path.read_text(encoding="utf-8"))
)
# Scripts that need neither sequences nor minutes, with their least sizes.
QUICK = {
    "decode.py": "--files 60 --repeats 1",
    "embedded.py": "--images 1 --bank 5 --repeats 1",
    "leaderboard.py": "--files 30",
    "startup.py": "--repeats 1",
}


def options(script: str) -> set[str]:
    text = (FOLDER / script).read_text(encoding="utf-8")
    return set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', text))


def unknown(text: str) -> list[str]:
    """Scripts that are not there, and options that they do not take."""
    found = []
    for script, words in CALL.findall(text):
        given = re.findall(r"(?<=[\s\[])--[a-z][\w-]*", words)
        if script not in SCRIPTS:
            found.append(script)
        else:
            found += [f"{script} {name}" for name in given if name not in options(script)]
    return found


def test_a_wrong_call_is_found() -> None:
    text = (
        "`benchmarks/none.py`\n    python benchmarks/truth.py [--seeds 2] --sedes 3 \\\n --parts x"
    )
    assert unknown(text) == ["none.py", "truth.py --sedes"]


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.stem)
def test_scripts_take_the_options_that_they_are_called_with(page: Path) -> None:
    assert unknown(page.read_text(encoding="utf-8")) == []


def run(script: str, arguments: str) -> Any:
    """What the last line of a script says."""
    command = [sys.executable, str(FOLDER / script), *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("script", QUICK)
def test_what_is_quick_runs_and_ends_in_json(script: str) -> None:
    assert run(script, QUICK[script])


def test_a_folder_of_images_has_pillow_s_own_pixels() -> None:
    assert run("decode.py", QUICK["decode.py"])["same_pixels"]
