"""Sequences know their images: other pixels under the same labels are refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import nogs_bench
from nogs_bench.builders.dataset import Annotations, LabelsOnly, write_dataset
from nogs_bench.errors import NogsError
from nogs_bench.images import LabelledImages
from nogs_bench.sequences import load_annotations
from nogs_bench.sequences.identity import _numbers, _spans, read_identity
from nogs_bench.tasks import Task, load_split, register_task
from nogs_bench.training.heuristic import first_step_map
from nogs_bench.training.supervision import supervising
from tiny import Corner, corner_task


@dataclass(frozen=True)
class Shuffled:
    """`Corner` with the images of each class in another order, as if files were renamed."""

    summary: str = "made by the tests"

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        rows = Corner().load(split)
        order = np.arange(len(rows))
        for label in range(4):
            own = np.flatnonzero(rows.labels[:, 0] == label)
            order[own] = np.roll(own, 1)
        assert (rows.labels[order] == rows.labels).all()
        return LabelledImages(rows.images[order], rows.labels)


def write(task: Task, out: Path, with_images: bool = True, known: bool = True) -> Path:
    splits = {name: load_split(task, name) for name in ("train", "validation", "test")}
    index = np.array([7, 3, 4, 5, 40])
    annotations = Annotations(
        index,
        np.zeros((5, task.T, 2), int),
        np.ones((5, task.T), np.float32),
        np.ones((5, task.T, *task.grid.shape), np.float16),
        splits["train"].images[index] if known else None,
    )
    kept = splits if with_images else {n: LabelsOnly(r.labels) for n, r in splits.items()}
    return write_dataset(
        task, out, **kept, annotations=annotations, provenance={}, origin="written by a test"
    )


def test_sequences_of_more_images_than_there_are_are_refused(tmp_path: Path) -> None:
    """As those of a whole dataset are, of which a part was prepared."""
    task = register_task(corner_task())
    folder, train = write(task, tmp_path / "corner"), load_split(task, "train")
    supervising(task, folder, None, train[:41])
    with pytest.raises(NogsError, match=r"corner are of images up to number 40 of .*are 40"):
        supervising(task, folder, None, train[:40])


@pytest.mark.parametrize("with_images", [True, False])
def test_sequences_of_renamed_files_are_refused(with_images: bool, tmp_path: Path) -> None:
    task = register_task(corner_task())
    folder = write(task, tmp_path / "corner", with_images)
    supervising(task, folder, None, load_split(task, "train"))
    others = replace(task, source=Shuffled())
    with pytest.raises(NogsError, match="of other images: image 3 of train has other pixels"):
        supervising(others, folder, None, load_split(others, "train"))
    joined = nogs_bench.load(folder, "annotations", images=True)
    assert joined["train"][3]["image"].size == (12, 12)
    for options in ({}, {"split": "train"}, {"split": "train[3:5]"}):
        with pytest.raises(NogsError, match="of other images"):
            nogs_bench.load(folder, images=True, task=others, **options)
    streamed = nogs_bench.load(folder, images=True, task=others, split="train", streaming=True)
    with pytest.raises(NogsError, match="of other images"):
        list(streamed)


def test_what_does_not_record_its_images_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = corner_task()
    folder = write(task, tmp_path / "old", with_images=False, known=False)
    assert read_identity(folder) is None
    supervising(task, folder, None, load_split(task, "train"))
    assert "do not record which images they are of" in capsys.readouterr().err


def test_files_that_load_refuses_are_refused_by_evaluate_too(tmp_path: Path) -> None:
    task = corner_task()
    folder = write(task, tmp_path / "corner")
    for name in ("annotations/train.parquet", "maps/train.parquet"):
        file = folder / name
        other = write(corner_task(version=2), tmp_path / "other", known=False)
        changed = bytearray((other / name).read_bytes())
        changed[-20] ^= 1
        file.write_bytes(bytes(changed))
    with pytest.raises(NogsError, match="is not the file whose sha256"):
        nogs_bench.load(folder, "annotations")
    with pytest.raises(NogsError, match="is not the file whose sha256"):
        load_annotations(task, folder)
    with pytest.raises(NogsError, match="is not the file whose sha256"):
        first_step_map(task, folder)


@pytest.mark.parametrize(
    "damage", [{"numbers": "0-4"}, {"numbers": "a"}, {"digests": "xyz"}, {"digests": 4}, None]
)
def test_a_damaged_record_is_refused(damage: dict | None, tmp_path: Path) -> None:
    folder = write(corner_task(), tmp_path / "corner")
    path = folder / "provenance.json"
    record = json.loads(path.read_text())
    record["annotated_images"] = [] if damage is None else record["annotated_images"] | damage
    if damage == {"numbers": "0-4"}:
        record["annotated_images"]["digests"] += "0"
    path.write_text(json.dumps(record))
    with pytest.raises(NogsError, match="damaged in annotated_images"):
        read_identity(folder)


@pytest.mark.parametrize("numbers", [[], [0], [0, 1, 2], [3, 5, 6, 9]])
def test_numbers_as_spans(numbers: list[int]) -> None:
    assert _numbers(_spans(np.array(numbers, int))) == numbers


@pytest.mark.parametrize("streaming", [False, True])
def test_numpy_s_images_are_channels_first(streaming: bool, tmp_path: Path) -> None:
    """As the docstring says, whatever `datasets` makes of them; grey ones too."""
    task = corner_task()
    folder = write(task, tmp_path / "corner")
    rows = nogs_bench.load(folder, split="train", format="numpy", streaming=streaming)
    first = next(iter(rows))
    assert first["image"].shape == (1, 12, 12)
    assert first["image"].dtype == np.uint8
    np.testing.assert_array_equal(first["image"], load_split(task, "train").images[0])
    assert first["index"].dtype == np.int64
    assert first["epe"].dtype == np.float32
    for config, column in (("annotations", "epe"), ("maps", "epe_map")):
        rows = nogs_bench.load(folder, config, split="train", format="numpy", streaming=streaming)
        assert next(iter(rows))[column].dtype == np.float32
        assert column in rows.features


def test_an_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(datasets, "load_dataset", denied)
    with pytest.raises(NogsError, match=r"Permission denied.*HF_HOME"):
        nogs_bench.load(write(corner_task(), tmp_path / "corner"))
