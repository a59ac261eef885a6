from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from board import board_run, board_runs, write_board
from nogs_bench.errors import NogsError
from nogs_bench.leaderboard.checks import task_faults
from nogs_bench.leaderboard.joint_checks import joint_faults
from nogs_bench.leaderboard.validation import check_file, validate
from nogs_bench.network import load_model
from nogs_bench.results.entries import load_entry
from nogs_bench.results.result import RunResult
from nogs_bench.results.storage import MAX_BYTES, load_result, parse_content
from places import ROOT

VALID = board_run("ps-nogs", 0, protocol="pretrained").model_dump(mode="json")
NAME = "cluttered-digits.pretrained.ps-nogs.reference.seed0.json"
HTML, UP = "<script>alert(1)</script>", "../../etc/passwd"
NUMBERS = ["12", None, [], {}, True, float("nan"), float("inf"), -1, 10**30, [[[[[[1]]]]]], 1e300]
TEXTS = [None, 3, [], {"a": 1}, HTML, "", "a" * 10_000, "a\x00b", "line\nline"]
# Paths into a result, and what to put there.
LEAVES: dict[str, list[Any]] = {
    "task": [*TEXTS, UP, "/etc/passwd", "mine.py:TASK", "no-such-task", "..", "a b"],
    "protocol": [*TEXTS, UP, "fast"],
    "method": [*TEXTS, UP, "ram"],
    "model.name": [*TEXTS, UP, "C:\\x", "&lt;b&gt;"],
    "dataset.name": [*TEXTS, UP, "/etc/passwd", "a/b/c"],
    "environment.hardware": TEXTS,
    "hyperparameters.embedder": TEXTS,
    "hyperparameters.supervision_reduction": [*TEXTS, "median"],
    "hyperparameters.location_gradient": [None, 1, "true", []],
    "model.source_digest": [*TEXTS, "0" * 63, "Z" * 64],
    "task_version": [*NUMBERS, 0, 99],
    "task_digest": [*(text for text in TEXTS if text is not None), "0" * 63, "0" * 64],
    "seed": [n for n in NUMBERS if n != 1e300],
    "format_version": [*NUMBERS, 0, 4, True, 3.0],
    "model.parameters": [*NUMBERS, 0],
    "model.multiply_adds": [*NUMBERS, 0, 3.5],
    "model.pixels_seen": [*NUMBERS, 181],
    "dataset.supervised": [*NUMBERS, 60_001],
    "hyperparameters.iterations": [*NUMBERS, 1_900],
    "hyperparameters.batch_size": [*NUMBERS, 65],
    "hyperparameters.learning_rate": NUMBERS,
    "hyperparameters.evaluation_period": [*NUMBERS, 49],
    "hyperparameters.supervised_share": [*NUMBERS, 1.01],
    "hyperparameters.pretraining": [None, 3, [], {}],
    "hyperparameters.pretraining.iterations": [*NUMBERS, 1],
    "wall_time_s": NUMBERS,
    "curve": [None, 3, "x", [], {}, VALID["curve"][:1], VALID["curve"][:-1], VALID["curve"][::-1]],
    "curve.3.iteration": [*NUMBERS, 200, 301],
    "curve.3.accuracy": [*NUMBERS, 1.01, 0.12345],
    "curve.3.cross_entropy": [*NUMBERS, 0.0],
    "test.images": [*NUMBERS, 3_999],
    "test.rollouts": [*NUMBERS, 4],
    "test.accuracy": [*NUMBERS, 2, 0.1234567],
    "test.cross_entropy": [*NUMBERS, 0.0],
    "test.averaged_accuracy": [*NUMBERS, 0.98765],
    "test.averaged_cross_entropy": [*NUMBERS, 0.0, 5.0],
    "locations": [3, "x", [], [[]], VALID["locations"][:4]],
    "locations.2.cells": [None, [], [0], [1.5], ["0"]],
    "locations.2.counts": [None, [], [20_000], [-1]],
    "locations.0.cells.0": [None, -1, 64, "0", True, 10**40],
    "build_cost": [None, 3, [], {}],
    "build_cost.seconds": NUMBERS,
}
MUTATIONS = [(path, value) for path, values in LEAVES.items() for value in values]


def test_there_are_hundreds_of_mutations() -> None:
    assert len(MUTATIONS) > 300


def test_valid_results_pass(tmp_path: Path) -> None:
    write_board(tmp_path / "one", board_runs(("ram", "ps-nogs", "ps-hgs")))
    write_board(tmp_path / "two", board_runs(protocol="pretrained", model="other"))
    report = validate(tmp_path)
    assert report.faults == ()
    assert (report.valid, report.entries, len(report.runs)) == (True, 5, 25)


def inside(content: Any, path: str) -> tuple[Any, Any]:
    *outer, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in outer:
        content = content[part]
    return content, last


def changed(path: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(VALID)
    holder, last = inside(content, path)
    holder[last] = value
    return content


def refuse(folder: Path, text: str | bytes) -> list[tuple[str, str]]:
    """The faults of a file that must be refused, as (field, message)."""
    path = folder / NAME
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ((_, _, faults),) = check_file(path, NAME)
    assert faults, text[:300]
    for fault in faults:
        assert fault.field
        assert len(str(fault)) < 2_000
    with pytest.raises(NogsError):  # The whole folder is refused too, in one line.
        _raise(validate(folder).faults)
    return [(fault.field, fault.message) for fault in faults]


def _raise(faults: tuple[object, ...]) -> None:
    if faults:
        raise NogsError(str(faults[0]))


@pytest.mark.parametrize(("path", "value"), MUTATIONS, ids=lambda each: str(each)[:24])
def test_a_changed_field_is_named(tmp_path: Path, path: str, value: Any) -> None:
    found = refuse(tmp_path, json.dumps(changed(path, value)))
    # A good value that contradicts another may show there, or in the name of the file.
    related = {"seed": "file", "hyperparameters.iterations": "curve"}
    related |= {"method": "dataset"}  # another one is supervised otherwise
    related |= {"test.rollouts": "locations", "test.images": "locations"}
    related |= {"locations.2.cells": "locations.2.counts", "test.cross_entropy": "test.averaged"}
    fields = [field for field, _ in found]
    assert any(
        field.startswith((path, related.get(path, path))) or path.startswith(field)
        for field in fields
    ), found


def paths(content: Any, path: str = "") -> Iterator[str]:
    items: Any = enumerate(content) if isinstance(content, list) else content.items()
    for name, value in items:
        here = f"{path}.{name}" if path else str(name)
        yield here
        if isinstance(value, (dict, list)):
            yield from paths(value, here)


# What may be left out: older formats do not know it.
OPTIONAL = {
    "hyperparameters.pretraining.map_digest",
    *("task_digest", "method_info", "test.classes", "test.after"),
    *("test.balanced_accuracy", "test.averaged_balanced_accuracy", "environment.deterministic"),
}
EVERY = [path for path in paths(VALID) if not path.startswith(("locations.", "curve."))]


@pytest.mark.parametrize("path", [p for p in EVERY if p not in ("locations", "build_cost")])
def test_a_missing_field_is_named(tmp_path: Path, path: str) -> None:
    content = copy.deepcopy(VALID)
    holder, last = inside(content, path)
    del holder[last]
    if path not in OPTIONAL:
        wanted = "teaching" if path == "teaching.0" else path  # the list is whole without it
        assert wanted in [field for field, _ in refuse(tmp_path, json.dumps(content))]
    else:
        (tmp_path / NAME).write_text(json.dumps(content))
        ((_, run, faults),) = check_file(tmp_path / NAME, NAME)
        assert not faults
        assert run is not None
        assert run.model_dump(mode="json") == changed(path, None)


@pytest.mark.parametrize("path", ["x", "test.x", "curve.2.x", "environment.<b>", "model.../x"])
def test_an_unknown_field_is_named(tmp_path: Path, path: str) -> None:
    content = copy.deepcopy(VALID)
    *outer, last = path.split(".", path.count(".") if "/" not in path else 1)
    holder = inside(content, ".".join([*outer, "?"]))[0] if outer else content
    holder[last] = 1
    assert ".".join([*outer, last]) in [field for field, _ in refuse(tmp_path, json.dumps(content))]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 0'), "seed"),
        (lambda text: text.replace('"images": 4000', '"images": 1, "images": 1'), "test.images"),
        (lambda text: text.replace('"seed": 0', '"seed": ' + "[" * 100_000), "seed"),
        (
            lambda text: text.replace(
                '"seed": 0', '"seed": ' + '{"a":' * 5_000 + "1" + "}" * 5_000
            ),
            "seed",
        ),
        (lambda text: text.replace('"seed": 0', '"seed": ' + "9" * 10_000), "seed"),
        (lambda text: text.replace('"seed": 0', '"seed": 0x1'), "seed"),
        (lambda text: text.replace('"seed": 0', "\"seed\": '0'"), "seed"),
        (lambda text: text.replace('"seed": 0', '"seed": '), "seed"),
        (lambda text: text.replace('"device": "cpu"', '"device": "\\ud800"'), "environment.device"),
        (lambda text: text[: text.index('"wall_time_s": ') + 15], "wall_time_s"),
        (lambda text: text[:-1], ""),
        (lambda text: text + "x", ""),
        (lambda text: "", "file"),
        (lambda text: "null", "file"),
        (lambda text: "[1]", "file"),
        (lambda text: '"' + "a" * 1000, "file"),
        (lambda text: "[" * 1_000_000, ""),
        (lambda text: text.encode("utf-16"), ""),
        (lambda text: text.replace("made up", "m\u00e9").encode("latin-1"), "build_cost.hardware"),
    ],
)
def test_broken_text_is_refused_where_it_breaks(
    tmp_path: Path, change: Callable[[str], str | bytes], field: str
) -> None:
    found = refuse(tmp_path, change(json.dumps(VALID, sort_keys=True)))
    assert found[0][0].startswith(field)


def test_large_files_links_and_names_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(NogsError, match=r"file: 104,857,600 bytes"):
        load_result(path)
    (fault,) = validate(tmp_path).faults
    assert (fault.field, fault.message) == (
        "file",
        f"104,857,600 bytes; no result has more than {MAX_BYTES:,}",
    )
    path.unlink()
    target = tmp_path / "x"
    target.write_text(json.dumps(VALID))
    path.symlink_to(target)
    assert validate(tmp_path).faults[0].message.startswith("a link")
    path.unlink()
    (tmp_path / "other.json").write_text(json.dumps(VALID))
    assert "must be called" in validate(tmp_path).faults[0].message
    with pytest.raises(NogsError, match="no results folder"):
        validate(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NogsError, match="holds no result"):
        validate(tmp_path / "empty")


NO_CHECK = [HealthCheck.function_scoped_fixture]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([HTML, UP, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=NO_CHECK)
@given(path=st.sampled_from(list(paths(VALID))), value=VALUES)
def test_what_is_taken_says_what_the_file_says(tmp_path: Path, path: str, value: Any) -> None:
    """Any value anywhere: no exception, and nothing is dropped or converted on the way in."""
    content = changed(path, value)
    file = tmp_path / NAME
    file.write_text(json.dumps(content))
    ((_, run, faults),) = check_file(file, NAME)
    if run is not None and not faults:
        assert run.model_dump(mode="json") == content


@settings(max_examples=200, deadline=None, suppress_health_check=NO_CHECK)
@given(st.integers(0, 10**6), st.binary(max_size=3), st.integers(0, 4))
def test_any_bytes_are_taken_or_refused(tmp_path: Path, at: int, put: bytes, dropped: int) -> None:
    raw = json.dumps(VALID).encode()
    at %= len(raw)
    file = tmp_path / NAME
    file.write_bytes(raw[:at] + put + raw[at + dropped :])
    ((_, run, faults),) = check_file(file, NAME)
    assert faults or run == RunResult.model_validate_json(file.read_bytes())


FACES = "leaderboard/results/celeba-10k/celeba-10k-smiling.scratch.ram.reference.json.gz"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda run: run["curve"][-1]["classes"][0].update(images=1), "curve.200.classes"),
        (lambda run: run["test"].update(classes=None), "test.classes"),
        (lambda run: run["test"]["after"][0].update(accuracy=0.12345678), "test.after.0.accuracy"),
        (
            lambda run: run["test"]["after"][1].update(cross_entropy=0.0),
            "test.after.1.cross_entropy",
        ),
        (lambda run: run["test"]["after"][-1].update(cross_entropy=9.0), "test.after"),
        (lambda run: run["test"]["after"][-1].update(balanced_accuracy=0.001), "test.after"),
    ],
)
def test_figures_by_class_and_glimpse_must_agree(
    change: Callable[[dict[str, Any]], None], field: str
) -> None:
    content = load_entry(ROOT / FACES)[0].model_dump(mode="json")
    assert task_faults("x", parse_content(content)) == []
    change(content)
    assert field in [fault.field for fault in task_faults("x", parse_content(content))]


def replaced(run: RunResult, **changes: Any) -> RunResult:
    return run.model_copy(update=changes)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda runs: runs[:4], "seed"),
        (lambda runs: [*runs[:4], replaced(runs[4], curve=runs[3].curve)], "curve"),
        (
            lambda runs: [
                *runs[:4],
                replaced(
                    runs[4],
                    hyperparameters=replaced(runs[4].hyperparameters, learning_rate=0.5),
                ),
            ],
            "seed",  # another rate is another entry: either lacks seeds
        ),
        (
            lambda runs: [
                *runs[:4],
                replaced(runs[4], dataset=replaced(runs[4].dataset, digest="2" * 64)),
            ],
            "dataset.digest",
        ),
        (
            lambda runs: [
                *runs[:4],
                replaced(runs[4], model=replaced(runs[4].model, source_digest="2" * 64)),
            ],
            "model.source_digest",
        ),
        (
            lambda runs: [
                *runs[:4],
                replaced(runs[4], build_cost=replaced(runs[4].build_cost, seconds=1.0)),
            ],
            "build_cost.seconds",
        ),
    ],
)
def test_results_that_contradict_each_other(
    tmp_path: Path, change: Callable[[list[RunResult]], list[RunResult]], field: str
) -> None:
    runs = list(board_runs(("ps-nogs",)))
    report = validate(write_board(tmp_path, change(runs)))
    assert field in [fault.field for fault in report.faults]
    assert all(".seed" in fault.file for fault in report.faults)


def test_a_run_handed_in_twice_is_refused(tmp_path: Path) -> None:
    write_board(tmp_path / "a", board_runs(("ram",)))
    write_board(tmp_path / "b", [board_run("ram", 2)])
    found = {(fault.file.split("/")[0], fault.field) for fault in validate(tmp_path).faults}
    assert found == {("b", "seed"), ("b", "curve")}


def test_a_huge_seed_costs_no_memory() -> None:
    """Seeds 0, 1, 3 and 2,000,000: the first that is left out is 2."""
    runs = [board_run("ram", seed) for seed in range(4)]
    runs[2] = replaced(runs[2], seed=2_000_000)
    tracemalloc.start()
    faults = joint_faults({run.name: run for run in runs}, seeds=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [str(fault) for fault in faults] == [
        "cluttered-digits.scratch.ram.reference.seed2000000: seed: 2000000, but 2 is left out: "
        "seeds are 0, 1, 2, ... (rule 4)"
    ]
    assert peak < 1_000_000


def test_fewer_seeds_may_be_asked_for(tmp_path: Path) -> None:
    write_board(tmp_path, board_runs(("ram",), seeds=3))
    assert not validate(tmp_path).valid
    assert validate(tmp_path, seeds=3).valid


def test_the_reference_model_is_the_one_of_the_results():
    """Or no run of today has a place beside them. The digest is that of the whole text of
    `network/model.py` and `network/embedders.py`: a changed comment there changes it too."""
    entries = (load_entry(path) for path in sorted((ROOT / "leaderboard/results").rglob("*.gz")))
    models = [runs[0].model for runs in entries]
    digests = {model.source_digest for model in models if model.name == "reference"}
    assert digests == {load_model("reference").digest}


@pytest.mark.parametrize(
    ("method", "info", "field"),
    [
        ("ram", {"settings": {}, "source_digest": "1" * 64, "lessons": {}}, "source_digest"),
        ("ram", {"settings": {"weight": 5.0}, "source_digest": None, "lessons": {}}, "settings"),
        ("ram+each_step-1", None, "method_info.settings"),
        ("ram+rate-2", None, "hyperparameters.learning_rate"),
    ],
)
def test_a_registered_method_s_name_is_for_that_method(
    tmp_path: Path, method: str, info: dict[str, Any] | None, field: str
) -> None:
    content = board_run("ram", 0).model_dump(mode="json")
    content |= {"method": method, "method_info": info, "teaching": []}
    run = parse_content(content)
    assert any(field in fault.field for fault in task_faults("x", run))


def test_a_key_that_cannot_be_printed_is_named_all_the_same(tmp_path: Path) -> None:
    for key, shown in (('"\\ud800"', "ud800"), ('"\\u001b[31m"', "x1b")):
        text = json.dumps(VALID)[:-1] + f", {key}: 1, {key}: 2}}"
        (field, _), *_ = refuse(tmp_path, text)
        assert shown in field
        assert field.isprintable()
        field.encode("utf-8")
