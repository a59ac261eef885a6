"""With `--json`, standard output holds the answer alone, whatever a user's file prints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from nogs_bench.cli import app
from nogs_bench.cli.app import print_json
from places import SUPPORT
from processes import program

NOISY = """
import os
from dataclasses import dataclass, replace
from nogs_bench import HardAttentionNet
from corner_task import CORNER, Corners

print("the file speaks")
os.write(1, b"its library speaks\\n")

@dataclass(frozen=True)
class Noisy(Corners):
    def load(self, split, data=None):
        print("the source speaks")
        return super().load(split, data)

ANNOTATION = replace(CORNER.annotation, sigma=(1.0,) * CORNER.T)
TASK = replace(CORNER, source=Noisy(), annotation=ANNOTATION)

class Net(HardAttentionNet):
    def __init__(self, task):
        print("the model speaks")
        super().__init__(task)
"""


def with_json(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Commands that take `--json`, and how each is called."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from with_json(inner, *path, name)
    if any("--json" in parameter.opts for parameter in command.params):
        yield path, command


COMMANDS = dict(with_json(typer.main.get_command(app)))


def test_these_commands_take_json() -> None:
    assert {("evaluate",), ("test",), ("compare", "avp"), ("leaderboard", "verify")} <= set(
        COMMANDS
    )
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_what_is_printed_while_a_command_works_goes_to_standard_error(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[path]

    def work(**_: object) -> None:
        print("noise")
        print_json({"answer": 42})

    given = ["--json"]
    for parameter in command.params:
        if parameter.required:
            option = parameter.opts[0]
            given += [option, "x"] if option.startswith("-") else ["x"]
    command.callback = work
    command.main(given, standalone_mode=False)
    said = capsys.readouterr()
    assert json.loads(said.out) == {"answer": 42}
    assert said.err == "noise\n"
    command.main([word for word in given if word != "--json"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("noise\n")  # as it was, once the command has ended


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "noisy.py").write_text(NOISY)
    return folder


def answer(noisy: Path, *arguments: str) -> tuple[Any, str]:
    """What a process of its own answers, and what it says beside."""
    env = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    done = program(env, noisy, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_what_worker_processes_print_leaves_json_alone(noisy: Path) -> None:
    call = ("build", "noisy.py:TASK", "--posterior", "bank", "--images", "48", "--workers", "2")
    found, said = answer(noisy, *call, "--out", "built")
    assert found["task"] == "corner"
    assert "its library speaks" in said
    assert said.count("the file speaks") >= 2  # the workers' too


def test_what_a_task_and_a_model_print_leaves_json_alone(noisy: Path) -> None:
    run = ("--task", "noisy.py:TASK", "--methods", "ram", "--seeds", "1", "--workers", "1")
    found, said = answer(noisy, "evaluate", "noisy.py:Net", *run, "--out", "out")
    assert found
    assert "the model speaks" in said
    found, said = answer(noisy, "score", "out", "--task", "noisy.py:TASK")
    assert found[0]["method"] == "ram"
    assert "the file speaks" in said
    (result,) = (path for path in (noisy / "out").rglob("*.json") if "ram" in path.name)
    own = ("--model", "noisy.py:Net", "--task", "noisy.py:TASK")
    found, said = answer(noisy, "test", str(result), *own)
    assert (found["task"], found["images"]) == ("corner", 40)
    assert "the source speaks" in said
