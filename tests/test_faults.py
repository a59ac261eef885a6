"""Stops and damage at any moment: the next call finishes, with the same bytes, and says so."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest


class Victims:
    """A warm process of `victim.py`."""

    def __init__(self, folder: Path):
        script = Path(__file__).with_name("victim.py")
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
        )

    def __call__(self, call: str, out: Path, **moment: float) -> int:
        """The exit status of a call that dies at a moment, if it comes."""
        self.process.stdin.write(json.dumps({"call": call, "out": str(out), **moment}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    made = Victims(tmp_path_factory.mktemp("victims"))
    yield made
    made.process.kill()
    made.process.communicate()


def tree(out: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too; results without their time, which is no artefact."""
    return {
        path.relative_to(out).as_posix(): b"\n".join(
            line for line in path.read_bytes().split(b"\n") if b'"wall_time_s"' not in line
        )
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def begun(out: Path) -> Counter:
    """How often each piece of work was begun."""
    return Counter(Path(f"{out}.log").read_text().splitlines())


def killed_again_and_again(victims, call: str, kills: int) -> None:
    """At random moments of time, and at random opening, renaming and removing of files."""
    whole = victims.folder / f"{call}-whole"
    assert victims(call, whole) == 0, Path(f"{whole}.err").read_text()
    events, seconds = json.loads(Path(f"{whole}.done").read_text())
    expected, once = tree(whole), begun(whole)
    assert set(once.values()) == {1}
    chance, here, number = random.Random(0), 0, 0
    while kills:
        out = victims.folder / f"{call}-{number}"
        moment = (
            {"seconds": chance.uniform(0, seconds)}
            if kills % 2
            else {"events": chance.randint(1, events)}
        )
        status = victims(call, out, **moment)
        assert status in (0, -signal.SIGKILL), Path(f"{out}.err").read_text()
        killed = status == -signal.SIGKILL
        here, kills = here + killed, kills - killed
        if not kills:
            status = victims(call, out)
        if status == 0:
            assert tree(out) == expected
            work = begun(out)
            assert work.keys() == once.keys()
            assert work.total() - once.total() <= here
            here, number = 0, number + 1


def test_a_few_kills(victims):
    killed_again_and_again(victims, "build", 4)
    killed_again_and_again(victims, "evaluate", 4)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["build", "evaluate"])
def test_fifty_kills(victims, call):
    killed_again_and_again(victims, call, 50)
