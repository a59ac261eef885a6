"""One compressed file an entry: nothing is lost, and nothing of a stranger's is believed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from board import board_run, board_runs, write_board
from nogs_bench.errors import NogsError
from nogs_bench.leaderboard.validation import validate
from nogs_bench.results.entries import (
    load_entry,
    load_results,
    pack,
    pack_entry,
    save_entries,
    unpack_entry,
)
from nogs_bench.results.result import RunResult
from nogs_bench.results.storage import load_result, save_result
from places import ROOT, TESTS
from results import run_result

V1 = sorted((TESTS / "data" / "results-v1").glob("*.json"))


def by_name(runs: list[RunResult]) -> dict[str, RunResult]:
    return {run.name: run for run in runs}


def test_all_seeds_come_back_equal_from_one_file(tmp_path: Path) -> None:
    runs = list(board_runs(("ram", "ps-nogs"), protocol="pretrained"))
    write_board(tmp_path / "old", runs)
    paths = pack(tmp_path / "old", tmp_path / "new")
    assert [path.relative_to(tmp_path / "new").as_posix() for path in paths] == [
        "cluttered-digits/cluttered-digits.pretrained.ps-nogs.reference.json.gz",
        "cluttered-digits/cluttered-digits.pretrained.ram.reference.json.gz",
    ]
    assert by_name(load_results(tmp_path / "new")) == by_name(runs)
    stored, packed = (
        sum(path.stat().st_size for path in folder.rglob("*.json*"))
        for folder in (tmp_path / "old", tmp_path / "new")
    )
    assert packed < stored / 5
    with pytest.raises(NogsError, match=r"ps-nogs\.reference\.json\.gz is there.*--replace"):
        pack(tmp_path / "old", tmp_path / "new")
    assert pack(tmp_path / "old", tmp_path / "new", replace=True) == paths
    assert validate(tmp_path / "new").valid
    assert validate(tmp_path / "old").valid


def test_equal_runs_give_equal_bytes_in_any_order() -> None:
    runs = list(board_runs(("ram",)))
    assert pack_entry(runs) == pack_entry(runs[::-1])
    assert unpack_entry(pack_entry(runs)) == runs


def test_old_formats_are_packed_too(tmp_path: Path) -> None:
    for path in V1:
        run = load_result(path)
        (packed,) = save_entries([run], tmp_path)
        assert load_entry(packed) == [run]
        assert load_entry(path) == [run]


def test_the_file_is_plain_json_that_anybody_can_put_together(tmp_path: Path) -> None:
    runs = [run_result("ram", seed, (0.1, 0.2 + seed / 10, 0.3, 0.4)) for seed in range(2)]
    (path,) = save_entries(runs, tmp_path)
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert content["shared"]["task"] == "cluttered-digits"
    assert [own["seed"] for own in content["runs"]] == [0, 1]
    columns = {name: [own["curve"][name] for own in content["runs"]] for name in ("accuracy",)}
    assert columns["accuracy"] == [[0.1, 0.2, 0.3, 0.4], [0.1, pytest.approx(0.3), 0.3, 0.4]]


def test_another_rate_is_another_file(tmp_path: Path) -> None:
    run = board_run()
    other = run.hyperparameters.model_copy(update={"learning_rate": 1e-3})
    paths = save_entries([run, run.model_copy(update={"hyperparameters": other})], tmp_path)
    assert [path.name for path in paths] == [
        "cluttered-digits.scratch.ram.reference.json.gz",
        "cluttered-digits.scratch.ram.reference.0.001.json.gz",
    ]


def at_rates(folder: Path, *rates: float) -> list[RunResult]:
    runs = []
    for rate in rates:
        other = run_result().hyperparameters.model_copy(update={"learning_rate": rate})
        runs.append(run_result().model_copy(update={"hyperparameters": other}))
        save_result(runs[-1], folder / str(rate))
    return runs


def test_rates_that_are_almost_equal_are_two_files(tmp_path: Path) -> None:
    """They agree in six digits."""
    runs = at_rates(tmp_path, 0.0012345671, 0.0012345672)
    paths = pack(tmp_path, tmp_path / "packed")
    assert [path.name for path in paths] == [
        "cluttered-digits.scratch.ram.reference.0.0012345671.json.gz",
        "cluttered-digits.scratch.ram.reference.0.0012345672.json.gz",
    ]
    assert load_results(tmp_path / "packed") == runs


def test_a_product_of_rates_is_named_as_people_write_it(tmp_path: Path) -> None:
    """3 x 0.003 is 0.009000000000000001; beside 0.009 it would be lost, so both are refused."""
    at_rates(tmp_path / "runs", 3 * 0.003)
    (path,) = pack(tmp_path / "runs", tmp_path / "packed")
    assert path.name == "cluttered-digits.scratch.ram.reference.0.009.json.gz"
    at_rates(tmp_path / "runs", 0.009)
    with pytest.raises(NogsError, match=r"at 0\.009 and .* have one file, "):
        pack(tmp_path / "runs", tmp_path / "again")
    assert not list((tmp_path / "again").rglob("*.gz"))


def test_more_seeds_than_a_file_holds_are_not_packed(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="101 seeds; an entry's file holds 100"):
        save_entries([run_result(seed=seed) for seed in range(101)], tmp_path)
    assert not list(tmp_path.rglob("*.gz"))


def test_a_run_that_is_there_twice_is_not_packed(tmp_path: Path) -> None:
    save_result(run_result(), tmp_path / "a")
    save_result(run_result(), tmp_path / "b")
    with pytest.raises(NogsError, match=r"seed0 twice"):
        pack(tmp_path, tmp_path / "out")


def test_what_tools_write_into_logs_is_no_result(tmp_path: Path) -> None:
    save_result(run_result(), tmp_path)
    noted = tmp_path / "logs" / "wandb" / "run-1" / "files"
    noted.mkdir(parents=True)
    (noted / "wandb-metadata.json").write_text("{}")
    assert len(pack(tmp_path, tmp_path / "out")) == 1


def changed(change: Any) -> bytes:
    content = json.loads(gzip.decompress(pack_entry(list(board_runs(("ram",))))))
    change(content)
    return gzip.compress(json.dumps(content).encode())


WHOLE = pack_entry(list(board_runs(("ram",))))
BAD = {
    "no gzip": (b"{}", "no gzip"),
    "cut": (WHOLE[:-20], "ends too soon"),
    "more behind": (WHOLE + b"x", "not at its end"),
    "a bomb": (gzip.compress(b" " * 200_000_000), "more than"),
    "no JSON": (gzip.compress(b"{"), "Invalid JSON"),
    "a list": (gzip.compress(b"[]"), "no entry"),
    "another version": (changed(lambda c: c.update(entry_version=2)), "entry_version: must be 1"),
    "no runs": (changed(lambda c: c.update(runs=[])), "runs: must be a list of 1"),
    "many runs": (changed(lambda c: c.update(runs=c["runs"][:1] * 101)), "runs: must be a list"),
    "runs that are none": (changed(lambda c: c.update(runs=[3])), "runs.0: must be an object"),
    "shared that is none": (changed(lambda c: c.update(shared=[])), "shared: must be an object"),
    "no curve": (
        changed(lambda c: c["runs"][0].update(curve=3)),
        "runs.0.curve: must be an object",
    ),
    "uneven columns": (
        changed(lambda c: c["runs"][1]["curve"]["accuracy"].pop()),
        "runs.1.curve: columns must be of one length",
    ),
    "unknown field": (changed(lambda c: c["shared"].update(x=1)), "x: Extra"),
    "bad number": (changed(lambda c: c["runs"][0].update(wall_time_s=-1)), "wall_time_s: "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_entry_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    raw, words = BAD[name]
    path = tmp_path / "cluttered-digits.scratch.ram.reference.json.gz"
    path.write_bytes(raw)
    with pytest.raises(NogsError, match=words) as caught:
        load_entry(path)
    assert "\n" not in str(caught.value)
    assert not validate(tmp_path).valid


def test_an_entry_under_another_name_may_not_stand(tmp_path: Path) -> None:
    (path,) = save_entries(board_runs(("ram",)), tmp_path)
    path.rename(path.with_name("cluttered-digits.scratch.ps-nogs.reference.json.gz"))
    report = validate(tmp_path)
    assert "must be called cluttered-digits.scratch.ram.reference.json.gz" in str(report.faults[0])


def test_the_board_is_small() -> None:
    """What a clone of the repository carries of it: at most 4 MB."""
    files = list((ROOT / "leaderboard" / "results").rglob("*.json.gz"))
    assert files
    assert sum(path.stat().st_size for path in files) < 4e6


def test_a_seed_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Of a bad run and a good one of one seed, either would be scored and the other passed over."""
    runs = list(board_runs(("ram",)))
    path = tmp_path / "cluttered-digits.scratch.ram.reference.json.gz"
    path.write_bytes(pack_entry([*runs, runs[-1]]))
    (fault,) = validate(tmp_path).faults
    assert (fault.field, fault.message) == ("runs.5.seed", "4 is there twice; keep one")
    with pytest.raises(NogsError, match=r"runs\.5\.seed"):
        load_results(tmp_path)
