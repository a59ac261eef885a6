"""Every method of the paper, end to end on a tiny task."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corner_task import CORNER, TELLING, telling_annotations, write_maps, write_sequences
from lone_run import train
from nogs_bench import cli
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.methods import METHODS, Method, constant, fading
from nogs_bench.network.fovea import ImageTensors
from nogs_bench.network.model import load_model
from nogs_bench.results.entries import load_results
from nogs_bench.results.result import RunResult
from nogs_bench.sequences.annotations import load_annotations, write_annotations
from nogs_bench.tasks.task import Task, TrainingProtocol, get_task
from nogs_bench.training.heuristic import first_step_map, map_digest
from nogs_bench.training.learner import Run
from nogs_bench.training.supervision import Material, make_sequences
from places import ROOT

PAPER = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5")
# The telling corner is where a first glimpse leaves nothing uncertain.
EPE = np.array([0.69] * TELLING + [0.0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_maps(write_sequences(tmp_path / "sequences"), EPE)


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    path = tmp_path / "keypoints.npy"
    np.save(path, np.full((48, 2, 2), 10.0))
    return path


def _material(folder: Path, keypoints: Path | None = None) -> Material:
    near_optimal = telling_annotations(30)
    return Material(CORNER, near_optimal, CORNER.source.load("train"), folder, None, keypoints)


def test_the_same_images_and_as_many_for_every_method(folder, keypoints):
    material = _material(folder, keypoints)
    made = {name: make_sequences(METHODS[name].sequences, material) for name in PAPER[2:]}
    for rows in made.values():
        np.testing.assert_array_equal(rows.index, np.arange(30))
        np.testing.assert_array_equal(rows.labels, material.near_optimal.labels)
        assert rows.glimpses.shape == (30, 2, 2)
    # The keypoints are the telling corner's middle, as the near-optimal sequences are.
    np.testing.assert_array_equal(made["ps-hgs"].glimpses, made["ps-nogs"].glimpses)
    cells = {name: CORNER.grid.pixel_to_index(rows.glimpses) for name, rows in made.items()}
    # exp(0.69) is 2: the corner has 2 of 10 parts; exp(5 x 0.69) is 31.5: 31.5 of 39.5.
    assert 0.05 < (cells["ps-h1"] == TELLING).mean() < 0.4
    assert (cells["ps-h5"] == TELLING).mean() > 0.6
    digests = {name: rows.digest for name, rows in made.items()}
    assert len(set(digests.values())) == len(digests)


def test_sequences_survive_being_written(tmp_path, folder):
    made = make_sequences("heuristic:1", _material(folder))
    assert load_annotations(CORNER, write_annotations(tmp_path / "w", made)).digest == made.digest


def test_a_temperature_that_is_no_number_is_refused(folder):
    with pytest.raises(NogsError, match="write the inverse temperature"):
        make_sequences("heuristic:hot", _material(folder))


def _by_method(out: Path) -> dict[str, RunResult]:
    return {result.method: result for result in load_results(out)}


def test_every_method_runs_and_says_what_supervised(tmp_path, folder, keypoints):
    out = tmp_path / "out"
    names = [*PAPER, "ps-nogs-anneal"]
    evaluate(
        task=CORNER,
        sequences=folder,
        methods=names,
        seeds=1,
        protocol="pretrained",
        keypoints=keypoints,
        out=out,
    )
    runs = _by_method(out)
    assert set(runs) == set(names)
    assert {name for name, run in runs.items() if run.dataset is None} == {"ram", "ram+"}
    supervised = [run.dataset for run in runs.values() if run.dataset]
    assert {info.supervised for info in supervised} == {48}
    # ps-nogs and its fading form share their sequences; no others do.
    assert runs["ps-nogs"].dataset == runs["ps-nogs-anneal"].dataset
    assert len({info.digest for info in supervised}) == 4
    assert "heuristic 5" in runs["ps-h5"].dataset.name

    stages = {name: run.hyperparameters.pretraining for name, run in runs.items()}
    assert {name for name, stage in stages.items() if stage.glimpses == "heuristic"} == {"ram+"}
    assert stages["ram+"].map_digest == map_digest(first_step_map(CORNER, folder))
    assert stages["ram"].map_digest is None
    # All that start from uniform glimpses start from the same weights; ram+ does not.
    assert len(list((out / ".pretrained").iterdir())) == 2
    first = {name: run.curve[0] for name, run in runs.items()}
    assert len({first[name] for name in names if name != "ram+"}) == 1
    assert first["ram+"] != first["ram"]


def test_a_task_may_pre_train_all_but_ram_on_the_heuristic(tmp_path, folder):
    """As the paper's CUB; the maps may be another dataset's."""
    stage = replace(CORNER.protocol("pretrained").pretraining, glimpses="heuristic")
    protocol = TrainingProtocol("pretrained", 20, 0.6, stage)
    task = replace(CORNER, name="corner-salient", protocols=(protocol,))
    settings = {"task": task, "methods": "ram,ps-nogs", "seeds": 1, "out": tmp_path / "out"}
    without = write_sequences(tmp_path / "without")
    with pytest.raises(NogsError, match="has no EPE maps"):
        evaluate(sequences=without, **settings)
    assert not (tmp_path / "out").exists()
    evaluate(sequences=without, maps=folder, **settings)
    runs = _by_method(tmp_path / "out")
    found = {name: run.hyperparameters.pretraining.glimpses for name, run in runs.items()}
    assert found == {"ram": "uniform", "ps-nogs": "heuristic"}


def test_the_paper_s_cub_pre_trains_on_the_heuristic_and_the_offline_tasks_do_not():
    found = {
        name: get_task(name).protocol("pretrained").pretraining.glimpses
        for name in ("cub-200", "fashion-mnist", "cluttered-digits")
    }
    assert found == {
        "cub-200": "heuristic",
        "fashion-mnist": "uniform",
        "cluttered-digits": "uniform",
    }
    assert METHODS["ram"].pretraining_glimpses == "uniform"


def test_ram_plus_without_pre_training_is_refused(tmp_path):
    with pytest.raises(NogsError, match=r"ram\+ differs from another method only in"):
        evaluate(task=CORNER, methods="ram,ram+", protocol="scratch", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_fading_weight_by_hand():
    assert [fading(at, 100) for at in (0, 25, 50, 75, 99)] == [1, 0.5, 0, 0, 0]
    assert {constant(at, 100) for at in (0, 50, 99)} == {1}


def _trained(method: Method, task: Task = CORNER, supervised: bool = True) -> torch.Tensor:
    images, validation = (
        ImageTensors.of(task.source.load(split), task, torch.device("cpu"))
        for split in ("train", "validation")
    )
    model = load_model("reference").build(task, 0)
    annotations = telling_annotations() if supervised else None
    train(Run(task, method, 20, 0, False), model, images, validation, annotations)
    return model.locator[0].weight


def test_where_supervision_has_faded_training_is_ram_s():
    """With a weight of 0 from the start, the sequences change nothing at all."""
    faded = Method("faded", "", "", sequences="near-optimal", schedule=lambda at, of: 0.0)
    ram = _trained(METHODS["ram"], supervised=False)
    assert torch.equal(_trained(faded), ram)
    anneal = _trained(METHODS["ps-nogs-anneal"])
    assert not torch.equal(anneal, ram)
    assert not torch.equal(anneal, _trained(METHODS["ps-nogs"]))


def test_the_methods_of_the_paper_are_listed_in_its_order():
    assert [name for name in METHODS.names() if name in PAPER] == list(PAPER)
    assert all(method.reference and method.description for method in METHODS)


def test_the_command_line_passes_on_where_things_are(tmp_path, monkeypatch):
    asked: dict[str, object] = {}

    def record(model: str, **settings: object) -> None:
        asked.update(settings)
        raise NogsError("enough")

    monkeypatch.setattr("nogs_bench.evaluation.evaluate", record)
    options = ["--keypoints", "k.npy", "--maps", "nogs/map", "--embedder", "vgg16-12"]
    monkeypatch.setattr(sys, "argv", ["nogs-bench", "evaluate", *options])
    with pytest.raises(SystemExit):
        cli.main()
    assert (asked["keypoints"], asked["maps"]) == (Path("k.npy"), "nogs/map")
    assert asked["embedder"] == "vgg16-12"


def test_the_page_s_own_method(monkeypatch, folder):
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    page = ROOT / "docs" / "own-method.md"
    _, code = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(code, {})
    cells = CORNER.grid.pixel_to_index(
        make_sequences(METHODS["ps-h20"].sequences, _material(folder)).glimpses
    )
    assert (cells == TELLING).all()  # exp(20 x 0.69) is a million


def test_the_page_names_every_method():
    page = (ROOT / "docs" / "methods.md").read_text()
    assert [name for name in METHODS.names() if f"`{name}`" not in page] == []
