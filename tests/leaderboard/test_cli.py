from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from board import board_run, board_runs, write_board
from nogs_bench import cli
from nogs_bench.results.storage import save_result

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`nogs-bench leaderboard ...` in this process: exit status, standard output and error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nogs-bench", "leaderboard", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_board(tmp_path / "results", board_runs())


def test_validate_says_what_is_wrong_and_fails(run: Run, results: Path) -> None:
    assert run("validate", results) == (0, "10 results of 2 entries: all valid\n", "")
    save_result(board_run("ram", 5).model_copy(update={"wall_time_s": -1.0}), results)
    status, out, _ = run("validate", results)
    assert status == 1
    assert out.startswith("cluttered-digits.scratch.ram.reference.seed5.json: wall_time_s: Input")
    status, out, _ = run("validate", results, "--json")
    assert status == 1
    said = json.loads(out)
    assert said["valid"] is False
    assert [fault["field"] for fault in said["faults"]] == ["wall_time_s"]
    status, out, err = run("validate", results / "none")
    assert (status, out) == (1, "")
    assert err.startswith("error: no results folder")


def test_compare_prints_both_sides(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # each cell in one line
    status, out, _ = run("compare", results)
    assert status == 0
    assert "not run (0 of 40 tasks)" in out
    assert "[" in out
    status, out, _ = run("compare", results, "--json")
    rows = json.loads(out)
    assert rows[0]["paper"] == "6.8"
    assert rows[0]["over"] in ("", "5 seeds")
    assert rows[1]["ours"]["low"] <= rows[1]["ours"]["high"]


def test_submit_and_build_write_their_folders(run: Run, results: Path, tmp_path: Path) -> None:
    who = ("--author", "me", "--url", "https://example.org")
    status, out, _ = run("submit", results, "--out", tmp_path / "sent", *who)
    assert status == 0
    assert len(list((tmp_path / "sent" / "results").rglob("*.json.gz"))) == 2
    status, _, err = run("submit", results, "--out", tmp_path / "sent", *who)
    assert status == 1
    assert "not an empty folder" in err
    status, out, _ = run("build", tmp_path / "sent" / "results", "--out", tmp_path / "site")
    assert (status, out) == (0, f"{tmp_path / 'site' / 'index.html'} is written\n")


def test_verify_fails_where_the_claim_does(run: Run, results: Path) -> None:
    file = results / "cluttered-digits.scratch.ram.reference.seed0.json"
    status, out, _ = run("verify", file)
    assert status == 1  # made up: the reference has other parameters
    assert "the claim does not hold" in out
    status, out, _ = run("verify", file, "--json")
    checks = {check["quantity"]: check["holds"] for check in json.loads(out)["checks"]}
    assert checks["parameters"] is False
    assert checks["test accuracy"] is True
