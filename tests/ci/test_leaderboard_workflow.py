"""A rehearsal: an entry goes from a fork to the page, and a forged one stops where it should."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from board import board_runs, write_board
from nogs_bench.results.entries import load_entry, save_entries
from nogs_bench.results.storage import save_result
from places import ROOT
from workflows import Outcome, Runner, git

STEPS = [
    "Fetch the submission",
    "Only results",
    "Take the results",
    "Validate",
    "Score again",
    "The page",
]
pytestmark = pytest.mark.slow
RESULTS = Path("leaderboard/results")
NAME = "cluttered-digits.scratch.ps-nogs.MyNet.seed{}.json"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's repository: its script and results of one board."""
    folder = tmp_path_factory.mktemp("project") / "upstream"
    (folder / RESULTS).mkdir(parents=True)
    (folder / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "judge", folder / ".ci")
    save_entries(board_runs(["ram", "ps-nogs-anneal"]), folder / RESULTS)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "The project")
    return folder


@pytest.fixture(scope="module")
def fork(upstream: Path) -> Path:
    """A clone with a new entry of five seeds on a branch, made as RULES.md says."""
    home = upstream.parent
    clone, sent = home / "fork", home / "sent"
    git(home, "clone", "--quiet", upstream, clone)
    made = write_board(home / "made", board_runs(["ps-nogs"], model="MyNet"))
    program = str(Path(sys.executable).parent / "nogs-bench")
    submit = [program, "leaderboard", "submit", str(made)]
    submit += ["--out", str(sent), "--author", "Somebody", "--url", "https://example.org/mine"]
    done = subprocess.run(
        [*submit, "--clone", str(clone)], capture_output=True, text=True, check=True
    )
    lines = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("git ")]
    assert [words[3] for words in lines] == ["switch", "add", "commit", "push"]
    for words in lines:
        git(home, *words[1:])
    assert "MyNet" in (sent / "MESSAGE.md").read_text()
    return clone


@pytest.fixture
def judged(upstream: Path, fork: Path, tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Push the fork with a `change` as pull request 7, and run the workflow's steps on it."""

    def judge(change: Change | None = None) -> list[Outcome]:
        work = tmp_path / "fork"
        git(tmp_path, "clone", "--quiet", "--branch", "my-entry", upstream, work)
        if change is not None:
            change(work)
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", "More")
        git(work, "push", "--quiet", "origin", "+HEAD:refs/pull/7/head")
        base = tmp_path / "base"
        git(tmp_path, "clone", "--quiet", upstream, base)
        event = {"github.event.pull_request.number": "7"}
        runner = Runner(base, event, GITHUB_REPOSITORY="nogs/nogs-bench")
        return list(runner.run("leaderboard", "judge", leave_out=("Install",)))

    return judge


def test_an_entry_reaches_the_page(judged: Callable[..., list[Outcome]], tmp_path: Path) -> None:
    steps = judged()
    assert [step.name for step in steps] == STEPS
    assert [step.status for step in steps] == [0] * len(STEPS), steps[-1].said
    page = (tmp_path / "base/page/index.html").read_text(encoding="utf-8")
    assert "MyNet" in page
    comment = (tmp_path / "base/verdict/comment.md").read_text(encoding="utf-8")
    new, _, moved = comment.partition("### Ranks that move")
    assert "| cluttered-digits | scratch | ps-nogs | MyNet | 5 |" in new
    # Four times as fast as RAM: all that were there are overtaken or shared a place with.
    assert "| ram | reference |" in moved
    # The other job puts that text into the pull request.
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (programs / "gh").chmod(0o755)
    event = {"github.event.pull_request.number": "7", "github.token": "secret"}
    runner = Runner(tmp_path / "base", event, programs, GITHUB_REPOSITORY="nogs/nogs-bench")
    (said,) = runner.run("leaderboard", "comment")
    assert said.status == 0
    assert said.said.split()[:5] == ["pr", "comment", "7", "--repo", "nogs/nogs-bench"]
    assert said.said.split()[-1] == "verdict/comment.md"


def _loose(work: Path) -> Path:
    """The folder of results, the new entry in it as one file a run, which may stand there too."""
    results = work / RESULTS
    (packed,) = results.rglob("cluttered-digits.scratch.ps-nogs.MyNet.json.gz")
    runs = load_entry(packed)
    packed.unlink()
    for run in runs:
        save_result(run, results)
    return results


def _rewritten(**changes: object) -> Change:
    def change(work: Path) -> None:
        path = _loose(work) / NAME.format(3)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _better_test(work: Path) -> None:
    path = _loose(work) / NAME.format(0)
    run = json.loads(path.read_text())
    run["test"]["accuracy"] = 0.9123456
    path.write_text(json.dumps(run))


def _another_s_curve(work: Path) -> None:
    (packed,) = (work / RESULTS).rglob("cluttered-digits.scratch.ram.reference.json.gz")
    other = json.loads(load_entry(packed)[0].model_dump_json(exclude_defaults=True))
    path = _loose(work) / NAME.format(0)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"curve": other["curve"]}))


def _four_seeds(work: Path) -> None:
    (_loose(work) / NAME.format(4)).unlink()


def _a_link(work: Path) -> None:
    path = _loose(work) / NAME.format(0)
    path.unlink()
    path.symlink_to("/etc/passwd")


def _a_folder_that_is_a_link(work: Path) -> None:
    shutil.rmtree(work / RESULTS)
    (work / RESULTS).symlink_to("/etc")


def _a_program(work: Path) -> None:
    (work / RESULTS / "conftest.py").write_text("import os; os.system('touch /tmp/owned')\n")


def _another_judge(work: Path) -> None:
    (work / ".ci/judge").write_text("#!/bin/sh\nexit 0\n")


@pytest.mark.parametrize(
    ("change", "stops", "why"),
    [
        (_better_test, "Validate", "test.accuracy: no count"),
        (_another_s_curve, "Validate", "to the last digit"),
        (_rewritten(seed=4), "Validate", "must be called"),
        (_rewritten(extra=1), "Validate", "extra: Extra inputs"),
        (
            lambda work: (_loose(work) / NAME.format(4)).unlink(),
            "Validate",
            "needs at least 5 seeds",
        ),
        (_a_link, "Validate", "a link or no plain file"),
        (_a_program, "Only results", "leaderboard/results/conftest.py"),
        (_another_judge, "Only results", ".ci/judge"),
        (_a_folder_that_is_a_link, "Only results", "leaderboard/results"),
    ],
)
def test_a_forged_entry_stops(
    judged: Callable[..., list[Outcome]], tmp_path: Path, change: Change, stops: str, why: str
) -> None:
    last = judged(change)[-1]
    assert (last.name, last.status) == (stops, 1), last.said
    comment = (tmp_path / "base/verdict/comment.md").read_text(encoding="utf-8")
    (reason,) = [line for line in comment.splitlines() if why in line][:1]
    assert reason.startswith("    "), "a stranger's words outside a block of code"
    assert not (tmp_path / "base/page").exists()


def test_a_withdrawal_is_said(judged: Callable[..., list[Outcome]], tmp_path: Path) -> None:
    def without_anneal(work: Path) -> None:
        for path in (work / RESULTS).rglob("*.ps-nogs-anneal.*"):
            path.unlink()

    assert judged(without_anneal)[-1].status == 0
    comment = (tmp_path / "base/verdict/comment.md").read_text(encoding="utf-8")
    gone = comment.partition("### Gone")[2]
    assert "| cluttered-digits | scratch | ps-nogs-anneal | reference | 5 |" in gone
    assert "MyNet" not in gone.partition("### ")[0]
