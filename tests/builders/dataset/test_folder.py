from __future__ import annotations

import errno
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from nogs_bench.builders.dataset import folder as dataset
from nogs_bench.builders.dataset.folder import write_dataset
from nogs_bench.builders.dataset.parquet import Annotations, LabelsOnly
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.families.fashion_mnist import DEBIAN_FOLDER
from nogs_bench.tasks.task import get_task
from small_dataset import ROWS, TASK, annotations, contents, write


def test_the_default_config_gives_back_every_row(tmp_path: Path) -> None:
    loaded = load_dataset(str(write(tmp_path / "d")))
    assert {split: len(rows) for split, rows in loaded.items()} == {
        split: len(rows) for split, rows in ROWS.items()
    }
    known = annotations()
    for split, rows in loaded.items():
        pixels = np.stack([np.asarray(image) for image in rows["image"]])
        np.testing.assert_array_equal(pixels, ROWS[split].images[:, 0])
        np.testing.assert_array_equal(rows["label"][:], ROWS[split].labels[:, 0])
        np.testing.assert_array_equal(rows["index"][:], np.arange(len(rows)))
        assert rows.features["label"].names == list(TASK.classes)
    train = loaded["train"].with_format("numpy")
    assert np.flatnonzero(train["annotated"][:]).tolist() == [3, 7, 399]
    for row, index in enumerate(known.index):
        np.testing.assert_array_equal(train[int(index)]["glimpses"], known.glimpses[row])
        np.testing.assert_array_equal(train[int(index)]["epe"], known.epe[row])
    assert not any(loaded["test"]["annotated"][:])


def test_rows_without_a_sequence_hold_sentinels_and_collate(tmp_path: Path) -> None:
    rows = load_dataset(str(write(tmp_path / "d")), "annotations", split="train")
    batch = rows.with_format("torch")[0:8]
    assert tuple(batch["glimpses"].shape) == (8, 2, 2)
    assert tuple(batch["epe"].shape) == (8, 2)
    blank = ~batch["annotated"]
    assert int(blank.sum()) == 6
    assert (batch["glimpses"][blank] == -1).all()
    assert (batch["epe"][blank] == -1).all()
    assert "image" not in rows.features


def test_maps_come_with_the_annotated_rows_alone(tmp_path: Path) -> None:
    rows = load_dataset(str(write(tmp_path / "d")), "maps", split="train").with_format("numpy")
    known = annotations()
    assert rows["index"][:].tolist() == [3, 7, 399]
    np.testing.assert_array_equal(rows[1]["epe_map"], known.maps[0])


def test_colour_images_survive(tmp_path: Path) -> None:
    grey = ROWS["train"]
    colour = np.concatenate([grey.images, 255 - grey.images, grey.images // 2], axis=1)
    rows = {split: LabelledImages(colour, grey.labels) for split in ROWS}
    loaded = load_dataset(str(write(tmp_path / "d", **rows)), split="test[:3]")
    pixels = np.stack([np.asarray(image) for image in loaded["image"]])
    np.testing.assert_array_equal(pixels, colour[:3].transpose(0, 2, 3, 1))


def test_without_images_the_annotations_are_the_default(tmp_path: Path) -> None:
    rows = {split: LabelsOnly(rows.labels) for split, rows in ROWS.items()}
    bare = replace(annotations(), epe=None, maps=None)
    folder = write(tmp_path / "d", **rows, annotations=bare, quality=None)
    loaded = load_dataset(str(folder))
    assert set(loaded["train"].features) == {"index", "label", "annotated", "glimpses", "epe"}
    assert np.asarray(loaded["train"]["epe"]).max() == -1
    assert not (folder / "data").exists()
    assert not (folder / "maps").exists()


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert contents(write(tmp_path / "a")) == contents(write(tmp_path / "b"))


def test_the_order_of_sequences_does_not_matter(tmp_path: Path) -> None:
    known, order = annotations(), np.array([2, 0, 1])
    fields = (known.index, known.glimpses, known.epe, known.maps)
    shuffled = Annotations(*(field[order] for field in fields if field is not None))
    again = write(tmp_path / "b", annotations=shuffled)
    assert contents(write(tmp_path / "a")) == contents(again)


def test_changed_rows_are_not_hidden_by_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    load_dataset(str(write(folder)), "annotations")
    moved = annotations(seed=1)
    loaded = load_dataset(str(write(folder, annotations=moved)), "annotations", split="train")
    np.testing.assert_array_equal(loaded.with_format("numpy")[399]["glimpses"], moved.glimpses[2])


def test_other_files_in_the_folder_stay_and_are_not_read(tmp_path: Path) -> None:
    stage = tmp_path / "d" / ".build" / "train.parquet"
    stage.parent.mkdir(parents=True)
    stage.write_bytes(b"no parquet")
    folder = write(tmp_path / "d")
    assert stage.read_bytes() == b"no parquet"
    assert len(load_dataset(str(folder), split="train")) == 400


def test_a_write_that_fails_leaves_the_old_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = contents(write(tmp_path / "d"))

    def fail(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset, "dataset_card", fail)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "d", annotations=annotations(seed=1))
    assert contents(tmp_path / "d") == old
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_new_dataset_without_maps_takes_the_old_maps_away(tmp_path: Path) -> None:
    write(tmp_path / "d")
    folder = write(tmp_path / "d", annotations=replace(annotations(), maps=None))
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "annotations",
        "data",
        "provenance.json",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glimpses": np.full((3, 2, 2), 5)}, r"\(5, 5\) is off the grid"),
        ({"glimpses": np.zeros((3, 3, 2), int)}, r"glimpses has shape \(3, 3, 2\)"),
        ({"index": np.array([3, 3, 7])}, "annotated twice"),
        ({"index": np.array([3, 7, 400])}, r"outside 0\.\.399"),
        ({"epe": np.full((3, 2), np.nan, np.float32)}, "negative or NaN"),
        ({"maps": np.zeros((3, 2, 9), np.float16)}, "maps has shape"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(NogsError, match=message):
        write(tmp_path / "d", annotations=replace(annotations(), **change))
    assert list(tmp_path.iterdir()) == []


def test_the_card_and_the_provenance_say_what_the_folder_holds(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc0-1.0"
    assert card.data.size_categories == ["n<1K"]
    configs = {config["config_name"]: config for config in card.data.configs}
    assert set(configs) == {"default", "annotations", "maps"}
    assert configs["default"]["default"] is True
    assert "3 of 400 training images" in card.text
    assert "| built | true cross-entropy, nats | 1.250 | 0.750 |" in card.text
    assert "arXiv:1906.05462" in card.text
    record = json.loads((folder / "provenance.json").read_text())
    assert record["digest"] in card.text
    assert record["annotated"] == 3
    assert record["grid"] == {
        "image_size": 12,
        "glimpse_size": 4,
        "rows": [0, 4, 8],
        "cols": [0, 4, 8],
    }
    assert set(record["files"]) == {name for name in contents(folder) if name.endswith("parquet")}


def test_the_digest_follows_the_rows(tmp_path: Path) -> None:
    labels = ROWS["test"].labels.copy()
    labels[0] = (labels[0] + 1) % 4
    folders = [
        write(tmp_path / "a"),
        write(tmp_path / "b", annotations=annotations(seed=1)),
        write(tmp_path / "c", test=LabelledImages(ROWS["test"].images, labels)),
        write(tmp_path / "d", provenance={"seed": 9}),
    ]
    digests = [json.loads((f / "provenance.json").read_text())["digest"] for f in folders]
    assert len(set(digests[:3])) == 3
    assert digests[3] == digests[0], "the digest is of the content, not of how it came about"


@pytest.mark.slow
@pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist"
)
def test_seventy_thousand_images_are_less_than_their_pixels(tmp_path: Path) -> None:
    task = get_task("fashion-mnist")
    rows = {split: task.source.load(split) for split in ROWS}
    none = Annotations(np.empty(0, int), np.empty((0, task.T, 2), int))
    folder = write_dataset(
        task, tmp_path / "d", **rows, annotations=none, provenance={}, origin="made by a test"
    )
    pixels = sum(len(part.images) for part in rows.values()) * 28**2
    assert sum(path.stat().st_size for path in folder.rglob("*.parquet")) < pixels


def other_disk(tmp_path: Path) -> Path:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two disks")
    return memory


def test_a_folder_on_another_disk_is_written_and_replaced(tmp_path: Path) -> None:
    """Named by a link, as a small disk's folder of a large one."""
    with tempfile.TemporaryDirectory(dir=other_disk(tmp_path)) as large:
        linked = tmp_path / "linked"
        linked.symlink_to(large, target_is_directory=True)
        for _ in range(2):
            write(linked)
            assert contents(linked) == contents(write(tmp_path / "here"))
        assert linked.is_symlink()


def test_what_was_there_is_put_back_where_not_all_can_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write(tmp_path / "d")
    shutil.rmtree(out / "maps")  # as of a dataset without
    before, files = contents(out), sorted(out.rglob("*"))
    move, moves = shutil.move, []

    def fails(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 8:  # four of before, and the three folders of now are moved
            raise OSError(errno.EIO, "no")
        move(source, target)

    monkeypatch.setattr(dataset.shutil, "move", fails)
    with pytest.raises(OSError, match="no"):
        write(out)
    assert contents(out) == before
    assert sorted(out.rglob("*")) == files
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
