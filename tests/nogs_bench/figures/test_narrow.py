"""Tables on narrow terminals: the same numbers as on a wide one."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nogs_bench.cli import app
from nogs_bench.figures import empty_table
from nogs_bench.figures.narrow import fitted
from nogs_bench.results import save_result
from nogs_bench.sequences.finding import SHIPPED
from places import ROOT
from results import run_result


def numbers(text: str) -> set[str]:
    """Words that are figures, with what stands about them, such as `[78.1,` or `< 250`."""
    return {w for w in text.split() if any(map(str.isdigit, w)) and not any(map(str.isalpha, w))}


@pytest.mark.parametrize("width", [28, 40, 79, 100, 160])
@pytest.mark.parametrize("columns", [1, 2, 5, 14])
def test_no_figure_is_cut_or_broken(columns: int, width: int) -> None:
    table = empty_table("A table", *(f"quantity no{c} of all" for c in range(columns)))
    for row in range(3):
        table.add_row(*(f"{row + 1:,}{c:03},678.25" for c in range(columns)))
    console = Console(width=width)
    with console.capture() as capture:
        console.print(fitted(table, console))
    shown = capture.get()
    for row in range(3):
        for c in range(columns):
            assert f"{row + 1:,}{c:03},678.25" in shown.split()
    assert max(map(len, shown.splitlines())) <= width


def test_a_list_names_each_cell() -> None:
    table = empty_table("Runs", "method", "as good as ram ever gets", "test accuracy, %")
    table.add_row("ps-nogs", "500-750", "80.0 [78.1, 82.3]")
    console = Console(width=30)
    with console.capture() as capture:
        console.print(fitted(table, console))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert "method ps-nogs" in lines
    assert any(line.endswith("500-750") and line.startswith("as good") for line in lines)


@pytest.mark.parametrize(
    "command",
    [
        ("tasks",),
        ("score", "{results}"),
        ("leaderboard", "compare", str(ROOT / "leaderboard" / "results")),
        ("build", "fashion-mnist", "--plan"),
        ("publish", str(SHIPPED / "cluttered-digits"), "--repo", "me/digits", "--dry-run"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_show_the_same_numbers_in_40_columns(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    for method, accuracy in {
        "ram": (0.1, 0.3, 0.6, 0.75),
        "ps-nogs": (0.1, 0.73, 0.7, 0.8),
    }.items():
        for seed in range(2):
            save_result(run_result(method, seed, accuracy), tmp_path)
    call = [word.format(results=tmp_path) for word in command]
    wide, narrow = (
        CliRunner().invoke(app, call, env={"COLUMNS": str(columns)}) for columns in (2000, 40)
    )
    assert wide.exit_code == narrow.exit_code == 0, narrow.output
    assert numbers(wide.stdout) <= numbers(narrow.stdout)
    assert numbers(wide.stdout)
    lines = [line for line in narrow.stdout.splitlines() if not line.startswith("/")]
    assert max(map(len, lines)) <= 40
