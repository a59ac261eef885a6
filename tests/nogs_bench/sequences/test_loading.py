from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from torch.utils.data import DataLoader

import nogs_bench
from nogs_bench.builders.dataset.folder import write_dataset
from nogs_bench.builders.dataset.parquet import LabelsOnly
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import read_provenance
from nogs_bench.sequences.loading import load
from small_dataset import ROWS, TASK, annotations, write


def test_a_folder_loads_by_config(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    assert "image" in nogs_bench.load(folder)["train"].features
    assert "image" not in nogs_bench.load(str(folder), "annotations")["train"].features
    with pytest.raises(NogsError, match="no config 'map'; it has"):
        nogs_bench.load(folder, "map")


def test_a_folder_whose_name_begins_like_a_home_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "~nobody-of-that-name")
    monkeypatch.chdir(tmp_path)
    assert len(load("~nobody-of-that-name", "annotations")["train"])


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


def test_a_folder_whose_name_is_a_pattern_is_refused_with_a_way_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "d").rename(tmp_path / "d[1]")
    with pytest.raises(NogsError, match=r"d\[1\]: a dataset with '\[' in its path.*rename"):
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
    with pytest.raises(NogsError, match="not a name on the Hub"):
        load("absent-folder")


@pytest.mark.parametrize("listening", [True, False])
def test_a_hub_that_is_silent_or_gone_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, listening: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:
            silent.listen()  # and accept nobody
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        with pytest.raises(NogsError, match=rf"no dataset 'a/b' here: {url} is out of reach"):
            load("a/b")


def test_a_changed_file_is_refused_where_it_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", annotations=annotations(seed=3))
    moved = write(tmp_path / "other", annotations=annotations(seed=4))
    shutil.copy(moved / "annotations/train.parquet", folder / "annotations/train.parquet")
    with pytest.raises(
        NogsError, match=r"annotations/train\.parquet cannot be loaded: it is not the"
    ):
        load(folder, "annotations")
    assert load(folder, "maps")["train"].num_rows == 3
    (folder / "maps/train.parquet").unlink()
    with pytest.raises(NogsError, match=r"maps/train\.parquet is missing"):
        load(folder, "maps")


@pytest.mark.parametrize(
    "card", ["---\nconfigs: [\n---\n", "---\nconfigs:\n- a\n---\n", "---\nconfigs: [{x: 1}]\n---\n"]
)
def test_a_damaged_card_is_named(tmp_path: Path, card: str) -> None:
    folder = write(tmp_path / "d")
    (folder / "README.md").write_text(card)
    with pytest.raises(
        NogsError, match=r"README\.md does not give its files as the Hub's cards do"
    ):
        load(folder)


def test_another_s_card_may_name_files_by_pattern_or_not_at_all(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    for card in (
        "---\nconfigs:\n- config_name: c\n  data_files: annotations/*.parquet\n---\n",
        "---\nconfigs:\n- config_name: c\n  data_files:\n  - split: train\n"
        "    path: [annotations/train.parquet]\n---\n",
    ):
        (folder / "README.md").write_text(card)
        assert load(folder, "c", split="train").num_rows >= 400
    for part in ("data", "maps"):
        shutil.rmtree(folder / part)
    (folder / "README.md").write_text("no fields")
    assert load(folder, split="train").num_rows == 400


def test_splits_and_revisions_of_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    assert load(folder, "annotations", split="train[:7]").num_rows == 7
    with pytest.raises(NogsError, match=r"cannot be loaded: .*elsewhere"):
        load(folder, split="elsewhere")
    with pytest.raises(NogsError, match="which has no revision 'v1'"):
        load(folder, revision="v1")


def test_a_task_s_name_finds_its_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load("cluttered-digits", split="train")
    assert sum(shipped["annotated"]) == 1500
    monkeypatch.chdir(tmp_path)
    write_dataset(
        replace(TASK, name="celeba-hq-male"),
        Path("nogs/celeba-hq-male"),
        **{name: LabelsOnly(rows.labels) for name, rows in ROWS.items()},
        annotations=annotations(),
        provenance={},
        origin="made by a test",
    )
    assert load("celeba-hq-male", split="test").num_rows == len(ROWS["test"])
    with pytest.raises(NogsError, match="nogs/celeba-hq-young cannot be loaded"):
        load("celeba-hq-young")


@pytest.mark.parametrize("streaming", [False, True])
def test_joined_rows_are_tensors_of_the_right_images(tmp_path: Path, streaming: bool) -> None:
    bare = {name: LabelsOnly(rows.labels) for name, rows in ROWS.items()}
    folder = write(tmp_path / "d", **bare)
    known = ROWS["train"].images
    options = {"images": True, "task": TASK, "split": "train", "streaming": streaming}
    rows = load(folder, format="torch", **options)
    batches = list(DataLoader(rows, batch_size=100))
    images = torch.cat([batch["image"] for batch in batches])
    assert images.dtype == torch.uint8
    np.testing.assert_array_equal(images, known)
    assert torch.cat([batch["glimpses"] for batch in batches]).dtype == torch.int64
    assert torch.cat([batch["epe"] for batch in batches]).dtype == torch.float32
    plain = next(iter(load(folder, **options)))
    np.testing.assert_array_equal(plain["image"], known[0, 0])
    array = next(iter(load(folder, format="numpy", **options)))
    np.testing.assert_array_equal(array["image"], known[0])
    if streaming:
        with pytest.raises(NogsError, match="cannot stream"):
            load(folder, format="tensors", **options)
        return
    tensors = load(folder, format="tensors", **options)
    np.testing.assert_array_equal(tensors["image"], known)
    assert tensors["glimpses"].shape == (400, 2, 2)
    splits = load(folder, images=True, task=TASK, format="tensors")
    assert {name: len(part["label"]) for name, part in splits.items()} == {
        name: len(rows) for name, rows in ROWS.items()
    }


def test_stored_images_and_maps_are_tensors_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    tensors = load(folder, split="test", format="tensors")
    np.testing.assert_array_equal(tensors["image"], ROWS["test"].images)
    maps = load(folder, "maps", split="train", format="torch")
    assert maps[0]["epe_map"].shape == (2, 3, 3)
    with pytest.raises(NogsError, match="format 'jax': give one of None, 'numpy'"):
        load(folder, format="jax")


def test_streamed_rows_of_other_images_are_refused(tmp_path: Path) -> None:
    labels = {name: LabelsOnly((rows.labels + 1) % 4) for name, rows in ROWS.items()}
    folder = write(tmp_path / "d", **labels)
    rows = load(folder, images=True, task=TASK, split="train", streaming=True)
    with pytest.raises(NogsError, match="these are other images"):
        next(iter(rows))
