"""No command replaces a file that it finds in its way, unless it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from nogs_bench.cli import app, main

FILES = {
    "look": ("RUN",),
    "predict": ("RUN", "FOLDER"),
    "test": ("RUN",),
    "task": ("FOLDER",),
    "report": ("DATASET",),
    "convert-weights": ("tf_efficientnet_lite0",),
    "plot epe": ("DATASET",),
    "plot curves": ("RESULTS",),
    "plot bars": ("RESULTS",),
    "plot locations": ("SOURCE",),
    "plot reliability": ("DATASET",),
}
# Folders of work that the same command goes on with.
GOES_ON = {"evaluate", "prepare", "target", "compare avp", "leaderboard verify"}


def outputs(group: typer.core.TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set]]:
    """Each command that has `--out` or `--onnx`, with its options."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from outputs(command, (*path, name))
        else:
            options = {option for each in command.params for option in each.opts}
            if options & {"--out", "--onnx"}:
                yield " ".join((*path, name)), options


def test_every_command_that_writes_can_be_told_to_replace() -> None:
    found = dict(outputs(typer.main.get_command(app)))
    assert {name for name, options in found.items() if "--replace" not in options} == GOES_ON
    assert set(FILES) < set(found)


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_there_is_named_and_left(
    command: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    """Before anything is read: what the arguments name is not there."""
    out = tmp_path / "mine.png"
    out.write_text("mine")
    arguments = [*command.split(), *FILES[command], "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["nogs-bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"--out {out} is there; give another file, or --replace" in said
    assert out.read_text() == "mine"


def test_a_file_is_replaced_where_that_is_wanted(tmp_path: Path) -> None:
    out = tmp_path / "epe.png"
    out.write_text("mine")
    call = ["plot", "epe", "cluttered-digits", "--out", str(out), "--replace"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"\x89PNG")
