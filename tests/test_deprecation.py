"""What goes warns, in one line, and is gone when it said it would be."""

from __future__ import annotations

import ast
import sys
import warnings

import pytest
import typer

from nogs_bench import NogsDeprecationWarning, __version__
from nogs_bench.deprecation import deprecated
from nogs_bench.exits import Commands
from places import ROOT


def old_function() -> int:
    deprecated("old_function", "new_function", gone_in="2.0")
    return 1


def test_the_warning_names_what_to_use_and_points_at_the_user() -> None:
    with pytest.warns(
        NogsDeprecationWarning, match=r"^old_function goes in nogs-bench 2\.0; use new"
    ):
        assert old_function() == 1
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        old_function()
    assert said[0].filename == __file__
    assert issubclass(NogsDeprecationWarning, FutureWarning)  # shown without being asked for


def test_a_command_says_it_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer(cls=Commands, add_completion=False)

    @app.command()
    def old() -> None:
        old_function()
        warnings.warn("another", UserWarning, stacklevel=1)
        typer.echo("done")

    @app.command()
    def other() -> None:
        """So that `old` is a command of a group."""

    monkeypatch.setattr(sys, "argv", ["program", "old"])
    warnings.simplefilter("default")
    with pytest.warns(UserWarning, match="another"), pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code in (None, 0)
    out, err = capsys.readouterr()
    assert out == "done\n"
    assert err == "warning: old_function goes in nogs-bench 2.0; use new_function\n"


def calls() -> list[tuple[str, str]]:
    """Each place that calls `deprecated`, and the version in which what it is about goes."""
    found = []
    for folder in ("nogs_bench", "builders", "leaderboard"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "deprecated":
                    given = {word.arg: word.value for word in node.keywords}
                    value = given["gone_in"]
                    assert isinstance(value, ast.Constant), f"{path}: write the version out"
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", str(value.value)))
    return found


def test_what_was_to_be_gone_is_gone() -> None:
    def number(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split(".") if part.isdigit())

    assert number("0.10") > number("0.9.1")
    late = [place for place, gone_in in calls() if number(__version__) >= number(gone_in)]
    assert late == []
