from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.results.entries import load_results
from nogs_bench.results.result import RunResult, step_locations
from nogs_bench.results.storage import faults, load_result, save_result
from places import TESTS
from results import run_result


def test_a_result_comes_back_equal_under_its_own_name(tmp_path):
    result = run_result("ps-nogs", seed=3)
    path = save_result(result, tmp_path / "new")
    assert path.name == "cluttered-digits.scratch.ps-nogs.reference.seed3.json"
    assert load_result(path) == result
    assert load_results(tmp_path / "new") == [result]
    # What is being written does not count.
    (path.parent / f".{path.name}.x.json").write_text("{")
    assert len(load_results(tmp_path / "new")) == 1


def _set(path: str, value: object):
    def change(content: dict) -> None:
        *outer, last = path.split(".")
        for part in outer:
            content = content[int(part) if part.isdigit() else part]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("test"), "test: Field required"),
        (_set("test.extra", 1), "test.extra: Extra inputs"),
        (_set("test.accuracy", 1.5), "test.accuracy: .*less than or equal to 1"),
        (_set("test.cross_entropy", -0.1), "test.cross_entropy: .*greater than or equal to 0"),
        (_set("wall_time_s", float("inf")), "wall_time_s: .*finite"),
        (_set("curve.1.accuracy", float("nan")), "curve.1.accuracy: .*finite"),
        (_set("curve.2.iteration", 250), "iterations must increase strictly"),
        (_set("curve.0.iteration", 10), "from iteration 0"),
        (_set("hyperparameters.iterations", 1000), "to hyperparameters.iterations"),
        (_set("seed", "0"), "seed: .*valid integer"),
        (_set("seed", True), "seed: .*valid integer"),
        (_set("format_version", 4), "format_version: 4 is of a newer nogs-bench"),
        (_set("model.source_digest", "abc"), "model.source_digest: "),
        (_set("method", "../up"), "method: "),
        (_set("seed", 1), "holds the run .*seed1; name it"),
    ],
)
def test_a_faulty_field_is_named_in_one_line(tmp_path, change, message):
    path = save_result(run_result(), tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(NogsError, match=message) as caught:
        load_result(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_in_half_is_refused(tmp_path):
    path = save_result(run_result(), tmp_path)
    path.write_text(path.read_text()[:400])
    with pytest.raises(NogsError, match=r"is no valid result: environment.*: Invalid JSON"):
        load_results(tmp_path)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(NogsError, match="holds no result"):
        load_results(tmp_path)
    with pytest.raises(NogsError, match="no results folder"):
        load_results(tmp_path / "none")


def test_the_config_digest_follows_the_settings_and_not_the_outcome():
    result = run_result(accuracy=(0.1, 0.2))
    other = run_result(accuracy=(0.1, 0.3))
    assert result.config_digest == other.config_digest
    slower = result.hyperparameters.model_copy(update={"learning_rate": 1e-4})
    assert result.model_copy(update={"hyperparameters": slower}).config_digest != (
        result.config_digest
    )


NEW = {"balanced_accuracy", "averaged_balanced_accuracy", "classes", "after"}
VERSION_1 = sorted((TESTS / "data" / "results-v1").glob("*.json"))


@pytest.mark.parametrize("path", VERSION_1, ids=lambda path: path.stem)
def test_results_of_version_1_stay_loadable(tmp_path, path):
    """Files that the package's first version wrote."""
    written = json.loads(path.read_text())
    assert written.pop("format_version") == 1
    result = load_result(path)
    now = result.model_dump(mode="json")
    assert now.pop("format_version") == 3
    assert now["environment"].pop("deterministic") is None
    for field in ("locations", "build_cost", "task_digest", "images", "teaching", "method_info"):
        assert now.pop(field) is None
    for part in (*now["curve"], now["test"]):
        for field in NEW & set(part):
            assert part.pop(field) is None
    assert now == written
    assert load_result(save_result(result, tmp_path)) == result


def test_version_1_is_an_integer_and_as_strict_as_today(tmp_path):
    content = json.loads(VERSION_1[0].read_text())
    path = tmp_path / VERSION_1[0].name
    for change, message in [
        ({"format_version": True}, "format_version: "),
        ({"format_version": 1.0}, "format_version: "),
        ({"format_version": [1]}, "format_version: "),
        ({"wall_time_s": float("nan")}, "wall_time_s: .*finite"),
        ({"other": 1}, "other: Extra"),
    ]:
        path.write_text(json.dumps(content | change))
        with pytest.raises(NogsError, match=message):
            load_result(path)


def test_locations_count_every_rollout():
    counts = [[0, 15_000, 5_000], [1, 0, 19_999]]
    result = run_result()
    made = step_locations(counts)
    assert made[0].cells == (1, 2)
    assert made[0].counts == (15_000, 5_000)
    content = result.model_dump(mode="json") | {
        "locations": [step.model_dump(mode="json") for step in made]
    }
    assert RunResult.model_validate_json(json.dumps(content)).locations == made
    content["locations"][1]["counts"] = [1, 20_000]
    with pytest.raises(ValidationError) as caught:
        RunResult.model_validate_json(json.dumps(content))
    assert faults(caught.value) == [("locations.1.counts", "must add up to the 20000 rollouts")]


def test_a_run_s_images_and_teaching_decide_it_where_they_are_recorded():
    old = run_result()
    first, second = (old.model_copy(update={"images": digit * 64}) for digit in "12")
    assert not first.same_run(second)
    assert first.config_digest != second.config_digest
    # What format 2 did not record is not held against it.
    assert old.same_run(first)
    assert second.same_run(old)
    assert not old.same_run(first.model_copy(update={"seed": 9}))
    taught = old.model_copy(update={"teaching": ("beliefs",)})
    assert not taught.same_run(old.model_copy(update={"teaching": ()}))
    assert taught.same_run(old)
