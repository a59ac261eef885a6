"""The exported dataset holds what the result files hold, and says who moves where."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from board import board_run, board_runs, write_board
from nogs_bench.errors import NogsError
from nogs_bench.leaderboard.export import export
from nogs_bench.leaderboard.submission import describe, moves
from nogs_bench.results import BuildCost
from nogs_bench.results.entries import save_entries
from nogs_bench.results.storage import save_result


def _at(content: dict, path: str) -> object:
    for part in path.split("."):
        content = None if content is None else content.get(part)
    return content


def test_load_dataset_reads_what_the_files_say(tmp_path: Path) -> None:
    folder = write_board(tmp_path / "results", board_runs())
    write_board(folder, board_runs(["ram"], protocol="pretrained"))
    out = export(folder, tmp_path / "board")
    files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    cache = str(tmp_path / "cache")
    runs = load_dataset(str(out), cache_dir=cache)["train"].to_list()  # the default
    assert [row["run"] for row in runs] == sorted(files)
    for row in runs:
        said = files[row.pop("run")]
        for path, value in row.items():
            assert value == _at(said, path), path
        assert {path.partition(".")[0] for path in row} >= set(said) - {"curve", "format_version"}
    curves = load_dataset(str(out), "curves", cache_dir=cache)["train"].to_list()
    for name, said in files.items():
        own = [row for row in curves if row["run"] == name]
        assert [{key: row[key] for key in said["curve"][0]} for row in own] == said["curve"]
        assert {row["model.name"] for row in own} == {"reference"}


def test_two_rates_are_told_apart(tmp_path: Path) -> None:
    """In the curves, and by those who say what moved, even if they agree in two digits."""
    runs = [board_run("ram", 0)]
    for rate, other in ((6.001e-3, "a"), (6.002e-3, "b")):
        settings = runs[0].hyperparameters.model_copy(update={"learning_rate": rate})
        curve = board_run("ram", 0, model=other).curve
        runs.append(runs[0].model_copy(update={"hyperparameters": settings, "curve": curve}))
    save_entries(runs, tmp_path / "results")
    out = export(tmp_path / "results", tmp_path / "board")
    curves = pq.read_table(out / "curves.parquet").to_pylist()
    for run in runs:
        rate = run.hyperparameters.learning_rate
        own = [row for row in curves if row["hyperparameters.learning_rate"] == rate]
        assert [row["accuracy"] for row in own] == [point.accuracy for point in run.curve]
    save_entries(runs[:1], tmp_path / "before")
    added = moves(tmp_path / "before", tmp_path / "results").added
    assert [row.learning_rate for row in added] == [6.001e-3, 6.002e-3]


def test_columns_do_not_depend_on_what_is_there(tmp_path: Path) -> None:
    """Of results without locations, sequences or pre-training too, each column has its type."""
    plain = write_board(tmp_path / "plain", [board_run("ram", located=False)])
    full = write_board(tmp_path / "full", board_runs(protocol="pretrained"))
    schemas = [
        pq.read_schema(export(each, tmp_path / f"{each.name}-board") / "runs.parquet")
        for each in (plain, full)
    ]
    assert schemas[0] == schemas[1]
    assert str(schemas[0].field("locations").type).startswith("list<")
    assert schemas[0].field("build_cost.seconds").type == "double"


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    one = write_board(tmp_path / "one", board_runs())
    two = write_board(tmp_path / "two", reversed(list(board_runs())))
    a, b = export(one, tmp_path / "a" / "board"), export(two, tmp_path / "b" / "board")
    assert {path.name for path in a.iterdir()} == {"README.md", "runs.parquet", "curves.parquet"}
    for path in a.iterdir():
        assert path.read_bytes() == (b / path.name).read_bytes()


def test_bad_input_is_refused(tmp_path: Path) -> None:
    folder = write_board(tmp_path / "results", board_runs())
    with pytest.raises(NogsError, match="is not an empty folder"):
        export(folder, folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "README.md").write_text("mine")
    with pytest.raises(NogsError, match=r"it holds README\.md; give another, or --replace"):
        export(folder, tmp_path / "full")
    assert (tmp_path / "full" / "README.md").read_text() == "mine"
    export(folder, tmp_path / "full", replace=True)
    assert "Results of nogs-bench" in (tmp_path / "full" / "README.md").read_text()
    save_result(board_run("ram", 5).model_copy(update={"wall_time_s": -1.0}), folder)
    with pytest.raises(NogsError, match="wall_time_s"):
        export(folder, tmp_path / "board")
    assert not (tmp_path / "board").exists()


def test_who_moves_where(tmp_path: Path) -> None:
    """RAM alone is first; PS-NOGS, four times as fast in every seed, makes it second."""
    before = write_board(tmp_path / "before", board_runs(["ram"]))
    after = write_board(tmp_path / "after", board_runs(["ram", "ps-nogs"]))
    found = moves(before, after)
    assert [row.method for row in found.added] == ["ps-nogs"]
    assert [(row.method, was, row.rank) for row, was in found.moved] == [("ram", (1, 1), (2, 2))]
    assert (found.removed, found.rescored) == ((), ())
    text = describe(found)
    assert "| cluttered-digits | scratch | ram | reference | 3e-3 | 1 | 2 |" in text
    back = moves(after, before)
    assert [row.method for row in back.removed] == ["ps-nogs"]
    assert describe(moves(after, after)) == "No entry is added, changed, taken away or moved.\n"


def test_a_changed_seed_is_said(tmp_path: Path) -> None:
    before = write_board(tmp_path / "before", board_runs(["ram"]))
    after = write_board(tmp_path / "after", board_runs(["ram"]))
    other = board_run("ram", 0, model="other").curve
    changed = board_run("ram", 0).model_copy(update={"curve": other})
    save_result(changed, after)
    found = moves(before, after)
    assert [row.method for row in found.rescored] == ["ram"]
    assert "### Scored anew" in describe(found)


def test_what_entries_declare_is_compared_too(tmp_path: Path) -> None:
    before = write_board(tmp_path / "before", board_runs())
    runs = [
        run.model_copy(update={"build_cost": BuildCost(seconds=0.0, hardware="none")})
        if run.dataset is not None
        else run
        for run in board_runs()
    ]
    found = moves(before, write_board(tmp_path / "after", runs))
    assert (found.rescored, [row.method for row in found.redeclared]) == ((), ["ps-nogs"])
    assert "### Changed in what they declare" in describe(found)


def test_changed_cross_entropies_are_scored_anew(tmp_path: Path) -> None:
    """What decides the first figure of the board; accuracies stay as they were."""
    before = write_board(tmp_path / "before", board_runs())
    runs = []
    for run in board_runs():
        curve = [p.model_copy(update={"cross_entropy": p.cross_entropy * 1.01}) for p in run.curve]
        other = run.model_copy(update={"curve": tuple(curve)})
        runs.append(run if run.method == "ram" else other)
    found = moves(before, write_board(tmp_path / "after", runs))
    assert [row.method for row in found.rescored] == ["ps-nogs"]
    assert (found.added, found.removed) == ((), ())
