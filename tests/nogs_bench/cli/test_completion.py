"""What the shell offers, and what a mistyped name is told."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nogs_bench.cli.shell import completion

PROGRAM = str(Path(sys.executable).parent / "nogs-bench")


def offered(*words: str) -> list[str]:
    """What a press of the key offers in bash after `nogs-bench` and these words."""
    env = {**os.environ, "_NOGS_BENCH_COMPLETE": "complete_bash"}
    env |= {"COMP_WORDS": " ".join(["nogs-bench", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run([PROGRAM], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_names_are_those_of_the_registries() -> None:
    """Asked of a process of its own: other tests register tasks and methods in this one."""
    written = json.loads(completion.FILE.read_text(encoding="utf-8"))
    ask = "import json; from nogs_bench.cli.shell import completion as c; "
    ask += "print(json.dumps(c.registered()))"
    command = [sys.executable, "-P", "-c", ask]  # what is installed, not this folder's packages
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    again = 'python -c "from nogs_bench.cli.shell import write; write()"'
    assert written == json.loads(asked.stdout), f"write it again: {again}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval"], ["evaluate"]),
        (["leaderboard", "va"], ["validate"]),
        (["evaluate", "--meth"], ["--methods"]),
        (["build", "fash"], ["fashion-mnist"]),
        (["evaluate", "--task", "cub-2"], ["cub-200"]),
        (["evaluate", "--methods", "ram,ps-nogs-a"], ["ram,ps-nogs-anneal"]),
        (
            ["evaluate", "--methods", "ps-h1,ps-h"],
            ["ps-h1,ps-hgs", "ps-h1,ps-h5"],
        ),  # not the one that is there
        (["evaluate", "--executor", "r"], ["ray"]),
        (["evaluate", "--protocol", "p"], ["pretrained"]),
        (["build", "cub-200", "--criterion", "cross"], ["cross-entropy"]),
        (["build", "./mine.p"], []),  # the shell's own: files
    ],
)
def test_what_is_offered(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_a_press_is_quick() -> None:
    """Of the processor's time, as other work may run beside; nothing heavy is imported."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    offered("build", "fash")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert spent < 1.0


def test_installed_packages_tasks_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "mine-from-elsewhere"

    monkeypatch.setattr(
        completion,
        "entry_points",
        lambda group: [Point()] if group == "nogs_bench.tasks" else [],
    )
    assert completion.one("task")("mine") == ["mine-from-elsewhere"]
    assert completion.one("method")("mine") == []


def test_the_shell_s_script_is_shown() -> None:
    env = {**os.environ, "_NOGS_BENCH_COMPLETE": "source_bash"}
    script = subprocess.run([PROGRAM], env=env, capture_output=True, text=True, check=True).stdout
    assert "complete -o default -F _nogs_bench_completion nogs-bench" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["bild"], "Did you mean 'build'?"),
        (["leaderboard", "validat"], "Did you mean 'validate'?"),
        (["evaluate", "--methd", "ram"], "--methods"),
        (["evaluate", "--task", "fashion-mist"], "did you mean 'fashion-mnist'"),
        (["evaluate", "--methods", "ps-nog"], "did you mean 'ps-nogs'"),
        (["evaluate", "--protocol", "scrach"], "did you mean 'scratch'"),
    ],
)
def test_what_is_mistyped_is_told_the_nearest(
    arguments: list[str], nearest: str, tmp_path: Path
) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert nearest in done.stderr
