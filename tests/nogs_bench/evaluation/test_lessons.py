"""What methods learn of a dataset beside its sequences, from its folder to the result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nogs_bench import load_posterior
from nogs_bench.builders.dataset.posterior import Networks, beliefs_along
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.evaluation.lessons import find_lessons, forget_lessons
from nogs_bench.methods import METHODS
from nogs_bench.results.entries import load_results
from nogs_bench.sequences import load_annotations, load_maps
from small_dataset import ROWS, TASK, annotations, write

TAUGHT = (
    *("ram-taught", "ps-nogs-taught", "ps-nogs-beliefs", "ps-nogs-maps", "ps-nogs-maps-taught"),
    *("ram-gain", "ram-gain-avp", "ram-entropy", "ram-ppo"),
)


def _folder(out: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    avp = Avp(TASK).eval()
    rows = annotations(seed)
    cells = TASK.grid.pixel_to_index(rows.glimpses)
    believed = beliefs_along(avp, ROWS["train"].images[rows.index], cells, "cpu")
    networks = Networks([avp.state_dict()])
    return write(out, annotations=replace(rows, beliefs=believed), posterior=networks)


def test_every_method_is_trained_with_what_it_needs(tmp_path: Path) -> None:
    folder, out = _folder(tmp_path / "d"), tmp_path / "out"
    arguments = {"task": TASK, "sequences": folder, "seeds": 2, "iterations": 6, "out": out}
    methods = ["ram", *TAUGHT]
    evaluate(methods=methods, **arguments)
    runs = {(run.method, run.seed): run for run in load_results(out)}
    assert set(runs) == {(method, seed) for method in methods for seed in (0, 1)}
    lessons = {m: set(runs[m, 0].method_info.lessons) for m in TAUGHT if runs[m, 0].method_info}
    assert lessons["ps-nogs-maps-taught"] == {"posterior", "maps"}
    assert lessons["ps-nogs-beliefs"] == {"sequence_posterior"}
    assert lessons["ram-entropy"] == set()
    assert runs["ram-gain", 0].method_info is None
    assert runs["ram-taught", 0].teaching == ("beliefs",)
    assert runs["ram-taught", 0].dataset is None
    rate = TASK.training.learning_rate
    assert runs["ram-taught", 0].hyperparameters.learning_rate == 2 * rate
    assert runs["ram-gain", 0].hyperparameters.learning_rate == rate

    # A stack of one method gives each run what the stack of many gave it.
    evaluate(methods="ps-nogs-maps-taught", **arguments | {"out": tmp_path / "alone"})
    for run in load_results(tmp_path / "alone"):
        assert run.curve == runs[run.method, run.seed].curve


def test_what_the_dataset_lacks_is_said_before_training(tmp_path: Path) -> None:
    old = write(tmp_path / "old", annotations=replace(annotations(), maps=None))
    for method, message in (
        ("ram-taught", "holds no posterior network"),
        ("ps-nogs-beliefs", "needs the column 'posterior'"),
        ("ps-nogs-maps", "has no EPE maps"),
    ):
        with pytest.raises(NogsError, match=message):
            evaluate(task=TASK, sequences=old, methods=method, seeds=1, out=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.json"))


def test_another_posterior_is_another_run(tmp_path: Path) -> None:
    one, other = (_folder(tmp_path / str(seed), seed) for seed in (0, 1))
    arguments = {"task": TASK, "methods": "ram-taught", "seeds": 1, "iterations": 4}
    evaluate(sequences=one, out=tmp_path / "out", **arguments)
    with pytest.raises(NogsError, match=r"method_info\.lessons\.posterior"):
        evaluate(sequences=other, out=tmp_path / "out", **arguments)


def test_a_dataset_built_anew_in_its_folder_teaches_what_it_says_now(tmp_path: Path) -> None:
    """In one process: as one that was never anything else."""
    arguments = {"task": TASK, "methods": "ram-taught", "seeds": 1, "iterations": 20}
    curves = []
    for name, seed in (("d", 0), ("d", 1), ("other", 1)):
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        out = tmp_path / f"{name}-{seed}"
        evaluate(sequences=_folder(tmp_path / name, seed), out=out, **arguments)
        curves.append(load_results(out)[0].curve)
    assert curves[1] == curves[2]
    assert curves[0] != curves[1]


def test_a_dataset_built_anew_during_an_evaluation_teaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("ram-taught", "ps-nogs-maps"):
        folder = _folder(tmp_path / method)

        def rebuild(*_: object, folder: Path = folder) -> None:
            shutil.rmtree(folder)
            _folder(folder, seed=1)
            forget_lessons()  # as another process, which has read nothing yet

        monkeypatch.setattr("nogs_bench.evaluation.command.prepare", rebuild)
        with pytest.raises(NogsError, match="was built anew meanwhile"):
            evaluate(task=TASK, sequences=folder, methods=method, seeds=1, out=tmp_path / "out")


def test_columns_and_maps_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder, written = _folder(tmp_path / "d"), annotations()
    rows = load_annotations(TASK, folder)
    maps = load_maps(TASK, folder, rows.index)
    order = np.argsort(written.index)
    np.testing.assert_array_equal(maps, written.maps[order].reshape(3, 2, 9).astype(np.float32))
    np.testing.assert_array_equal(load_maps(TASK, folder, rows.index[1:2]), maps[1:2])
    with pytest.raises(NogsError, match="no map of image 5"):
        load_maps(TASK, folder, np.array([3, 5]))
    cells = torch.from_numpy(TASK.grid.pixel_to_index(rows.glimpses))
    images = torch.from_numpy(ROWS["train"].images[rows.index])
    said = load_posterior(folder, "cpu").log_posterior_along(images, cells).exp().numpy()
    np.testing.assert_allclose(rows.posterior, said, atol=2e-3)
    assert rows.digest == load_annotations(TASK, write(tmp_path / "without")).digest
    bare = tmp_path / "bare" / "maps"
    bare.mkdir(parents=True)
    pq.write_table(pa.table({"index": [0]}), bare / "train.parquet")
    with pytest.raises(NogsError, match=r"train\.parquet holds no maps"):
        load_maps(TASK, bare.parent, rows.index)
    places = find_lessons(TASK, METHODS["ps-nogs-taught"], str(folder), None, rows)
    assert places.posterior == str(folder.absolute())
