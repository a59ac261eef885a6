from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import datasets
import numpy as np
import pytest

import nogs_bench
from nogs_bench.artefact import read_provenance
from nogs_bench.builders.dataset import write_dataset
from nogs_bench.builders.parquet import LabelsOnly
from nogs_bench.errors import NogsError
from nogs_bench.loading import load
from test_dataset import ROWS, TASK, annotations, write


def test_a_folder_loads_by_config(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    assert "image" in nogs_bench.load(folder)["train"].features
    assert "image" not in nogs_bench.load(str(folder), "annotations")["train"].features
    with pytest.raises(NogsError, match="no config 'map'; it has"):
        nogs_bench.load(folder, "map")


def test_images_come_from_the_task_s_source(tmp_path: Path) -> None:
    bare = {name: LabelsOnly(rows.labels) for name, rows in ROWS.items()}
    folder = write(tmp_path / "d", **bare)
    rows = load(folder, images=True, task=TASK)["train"]
    for row in (0, 399):
        np.testing.assert_array_equal(rows[row]["image"], ROWS["train"].images[row, 0])
    shuffled = rows.shuffle(seed=1)[:3]
    for image, row in zip(shuffled["image"], shuffled["index"], strict=True):
        np.testing.assert_array_equal(image, ROWS["train"].images[row, 0])
    record = folder / "provenance.json"
    record.write_text(json.dumps(read_provenance(folder) | {"task": f"{tmp_path}/own.py:TASK"}))
    with pytest.raises(NogsError, match=r"own\.py:TASK, which is not registered"):
        load(folder, images=True)
    with pytest.raises(NogsError, match=r"--data .* is not a folder"):
        load(folder, images=tmp_path / "absent", task=TASK)


def test_a_folder_with_images_that_may_not_ship_says_so(tmp_path: Path) -> None:
    private = replace(TASK, images_may_ship=False, images_licence="look, do not touch")
    bare = {name: LabelsOnly(rows.labels) for name, rows in ROWS.items()}
    known = {"annotations": annotations(), "provenance": {}, "origin": "made by a test"}
    for rows, publishable in ((ROWS, False), (bare, True)):
        folder = write_dataset(private, tmp_path / "d", **rows, **known)
        assert read_provenance(folder)["publishable"] == publishable
        warned = "do not publish or pass on this folder" in (folder / "README.md").read_text()
        assert warned != publishable


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    (folder / "README.md").unlink()
    with pytest.raises(NogsError, match="holds no whole dataset"):
        load(folder)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", annotations=annotations(seed=2))  # in no cache
    path = folder / "maps" / "train.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(NogsError, match="cannot be loaded"):
        load(folder, "maps")


def test_an_absent_name_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NogsError, match="cannot be loaded"):
        load("nobody/nothing")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(NogsError, match="not a name on the Hub"):
        load("absent-folder")

    def out_of_reach(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("nogs_bench.loading.urlopen", out_of_reach)
    with pytest.raises(NogsError, match="out of reach"):
        load("nobody/nothing")
