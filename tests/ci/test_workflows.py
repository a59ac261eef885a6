"""What the workflows are made of: pinned actions, least permissions, parts that there are."""

from __future__ import annotations

import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest

from places import ROOT
from workflows import FOLDER, workflow

NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
PARTS = ("lint", "fast", "slow", "docs", "lowest", "audit")
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the repository")


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_and_nothing_is_allowed_by_default(name: str) -> None:
    lines = (FOLDER / f"{name}.yml").read_text(encoding="utf-8").splitlines()
    uses = [line.strip(" -") for line in lines if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []
    said = workflow(name)
    assert said["permissions"] == {}
    for job in said["jobs"].values():
        written = {key for key, value in job["permissions"].items() if value == "write"}
        assert len(written) <= 1, "one job, one right to write"
        assert "timeout-minutes" in job


def test_one_action_has_one_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yml")]
    pins = set(chain.from_iterable(re.findall(r"uses: (\S+)@(\S+ # \S+)", text) for text in texts))
    assert len({action for action, _ in pins}) == len(pins), pins


def test_what_judges_strangers_runs_nothing_of_theirs() -> None:
    """It may write only in a job that sees no file of the submission."""
    jobs = workflow("leaderboard")["jobs"]
    assert jobs["judge"]["permissions"] == {"contents": "read"}
    (checkout,) = [s for s in jobs["judge"]["steps"] if "checkout" in s.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert checkout["with"]["persist-credentials"] is False
    assert not [s for s in jobs["comment"]["steps"] if "checkout" in s.get("uses", "")]


def test_ci_calls_every_part_of_ci_run() -> None:
    steps = [step for job in workflow("ci")["jobs"].values() for step in job["steps"]]
    called = [step["run"].split() for step in steps if "run" in step]
    assert {words[0] for words in called} == {".ci/run"}
    assert {part for words in called for part in words[1:]} == set(PARTS)


def test_ci_run_knows_its_parts_and_no_others() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    usual = re.search(r"parts=\((lint.*)\)", script)[1].split()
    assert usual == list(PARTS)
    assert all(re.search(rf"^{part}\(\)", script, re.M) for part in PARTS)
    done = subprocess.run([ROOT / ".ci" / "run", "lnt"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "[lint] [fast]" in done.stderr


def test_every_script_s_shell_is_sound() -> None:
    for name in ("run", "judge", "site", "distribution"):
        subprocess.run(["bash", "-n", str(Path(ROOT / ".ci" / name))], check=True)
