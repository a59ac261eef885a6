from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import datasets
import pytest
from test_dataset import annotations, write

import nogs_bench
from nogs_bench.errors import NogsError
from nogs_bench.loading import load


def test_a_folder_loads_by_config(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    assert "image" in nogs_bench.load(folder)["train"].features
    assert "image" not in nogs_bench.load(str(folder), "annotations")["train"].features
    with pytest.raises(NogsError, match="no config 'map'; it has"):
        nogs_bench.load(folder, "map")


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
