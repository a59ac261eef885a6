"""The reference of commands is that of the program, and names every option with its meaning."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import typer.main

from nogs_bench.cli import app
from places import ROOT

COMMANDS = runpy.run_path(str(ROOT / "docs" / "commands.py"))
LEAVES: list[tuple[str, Any]] = list(COMMANDS["leaves"](typer.main.get_command(app)))


def test_the_page_is_what_the_program_says() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == COMMANDS["page"](), "run python docs/commands.py"


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[words for words, _ in LEAVES])
def test_every_option_is_explained(words: str, command: Any) -> None:
    """In sentences; what stands in square brackets would be swallowed as markup by `--help`."""
    assert command.help
    for parameter in command.params:
        text = getattr(parameter, "help", None) or ""
        assert text.endswith((".", "...")), (words, parameter.name)
        assert "[" not in text, (words, parameter.name)


def test_every_registered_function_is_there() -> None:
    """Counted another way: by typer's own lists."""
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    registered = [each for group in groups for each in group.registered_commands]
    assert len(LEAVES) == len([each for each in registered if not each.hidden])
