from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages, Sampler, data_folder
from nogs_bench.tasks.families import cluttered_digits, cluttered_fashion, fashion_mnist
from nogs_bench.tasks.families.cluttered_digits import POOLS, compose
from nogs_bench.tasks.task import TASKS, Splits, Task, TrainingProtocol, get_task
from tiny import corner_task

DEBIAN = fashion_mnist.DEBIAN_FOLDER
needs_debian = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist"
)


def test_shipped_tasks_are_registered_and_say_json() -> None:
    get_task("cluttered-digits")
    for task in TASKS:
        said = json.loads(json.dumps(task.summary(), default=dict))
        assert said["name"] == task.name
        assert said["image_size"] == task.grid.image_size
        assert said["glimpse_size"] == task.grid.glimpse_size
        assert said["cells"] == len(said["grid"]["rows"]) * len(said["grid"]["cols"])


def test_tasks_are_frozen_and_checked() -> None:
    task = corner_task()
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.T = 3  # type: ignore[misc]
    for change in ({"T": 0}, {"target": 1}, {"protocols": ()}, {"channels": 0}):
        with pytest.raises(NogsError, match="task corner"):
            corner_task(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": (36, 6, 12, 6)}, r"splits must be a Splits, not \(36, 6, 12, 6\)"),
        ({"splits": Splits("36", 6, 12, 6)}, r"splits\.train must be an integer, not '36'"),  # type: ignore[arg-type]
        ({"splits": Splits(-36, 6, 12, 6)}, r"splits\.train must be at least 0, not -36"),
        ({"labels": ("heron", "kingfisher")}, "labels must be a tuple of Label, not"),
        ({"protocols": TrainingProtocol("scratch", 10, 0.5)}, "protocols must be a tuple of"),
        ({"grid": None}, "grid must be a GlimpseGrid, not None"),
        ({"avp": None}, "avp must be a AvpTraining, not None"),
    ],
)
def test_parts_of_another_kind_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NogsError, match=f"task corner: {message}"):
        corner_task(**change)


def test_the_digest_is_of_question_and_places_alone() -> None:
    task = corner_task()
    training = dataclasses.replace(task.training, learning_rate=0.5)
    other_label = dataclasses.replace(task.labels[0], name="another")
    moved = dataclasses.replace(task.grid, cols=(*task.grid.cols[:-1], task.grid.cols[-1] - 1))
    assert dataclasses.replace(task, training=training, version=9).digest == task.digest
    others = [
        dataclasses.replace(task, labels=(other_label,)),
        dataclasses.replace(task, T=task.T + 1),
        dataclasses.replace(task, grid=moved),
    ]
    assert len({task.digest, *(other.digest for other in others)}) == 4


def test_protocols_by_name_and_default() -> None:
    task = corner_task()
    assert task.protocol() is task.protocols[0]
    assert task.protocol("pretrained").pretraining is not None
    with pytest.raises(NogsError, match="it has scratch, pretrained"):
        task.protocol("fast")


def test_a_users_task_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import dataclasses\nfrom nogs_bench.tasks.task import get_task\n"
        "MINE = dataclasses.replace(get_task('cluttered-digits'), name='test-of-mine')\nOTHER = 3\n"
    )
    task = get_task(f"{file}:MINE")
    assert isinstance(task, Task)
    assert get_task("test-of-mine") is task
    with pytest.raises(NogsError, match=r"is a int, not a nogs_bench\.Task"):
        get_task(f"{file}:OTHER")
    with pytest.raises(NogsError, match="did you mean 'fashion-mnist'"):
        get_task("fashion-mist")


def test_images_and_labels_are_checked_and_digested() -> None:
    images, labels = np.zeros((2, 1, 3, 3), np.uint8), np.array([[0], [1]])
    rows = LabelledImages(images, labels)
    other = images.copy()
    other[1, 0, 2, 2] = 1
    digests = {
        rows.digest(),
        LabelledImages(other, labels).digest(),
        LabelledImages(images, labels[::-1]).digest(),
        rows[:1].digest(),
    }
    assert len(digests) == 4
    assert rows.digest() == LabelledImages(images.copy(), labels.astype(np.int32)).digest()
    with pytest.raises(NogsError, match="uint8"):
        LabelledImages(images.astype(float), labels)
    with pytest.raises(NogsError, match="labels"):
        LabelledImages(images, labels[:1])


def test_a_data_folder_must_exist(tmp_path: Path) -> None:
    assert data_folder(None) is None
    assert data_folder(str(tmp_path)) == tmp_path
    with pytest.raises(NogsError, match="is not a folder"):
        data_folder(tmp_path / "absent")


def test_pools_of_digits_are_disjoint_and_cover_all() -> None:
    numbers = [n for first, end in POOLS.values() for n in range(first, end)]
    assert sorted(numbers) == list(range(1797))


@given(st.integers(0, 700), st.integers(0, 300))
def test_a_digit_image_depends_on_stream_and_number_alone(start: int, count: int) -> None:
    whole = compose("s", "model", 0, 1024)
    part = compose("s", "model", start, count)
    np.testing.assert_array_equal(part.images, whole.images[start : start + count])
    np.testing.assert_array_equal(part.labels, whole.labels[start : start + count])


def test_digit_images_hold_their_digit_among_clutter() -> None:
    from sklearn.datasets import load_digits

    images = compose("s", "model", 0, 512)
    assert images.images.shape == (512, 1, 28, 28)
    assert not np.array_equal(images.images, compose("t", "model", 0, 512).images)
    # A digit covers 16 x 16 pixels, and scraps cover at most 3 x 16 more.
    assert (images.images > 0).sum((1, 2, 3)).max() <= 256 + 3 * 16
    shares = np.bincount(images.labels[:, 0], minlength=10) / 512
    known = np.bincount(load_digits().target, minlength=10) / 1797
    assert np.abs(shares - known).max() < 0.08
    assert isinstance(cluttered_digits.CLUTTERED_DIGITS.source, Sampler)


def test_pools_of_clothes_are_disjoint() -> None:
    parts = [(split, n) for split, *ends in cluttered_fashion.POOLS.values() for n in range(*ends)]
    assert len(parts) == len(set(parts)) == 70_000


@needs_debian
def test_a_fashion_image_depends_on_stream_and_number_alone() -> None:
    whole = cluttered_fashion.compose("s", "model", 0, 600)
    for start, count in ((0, 1), (250, 20), (599, 1), (300, 0)):
        part = cluttered_fashion.compose("s", "model", start, count)
        np.testing.assert_array_equal(part.images, whole.images[start : start + count])
        np.testing.assert_array_equal(part.labels, whole.labels[start : start + count])
    assert not np.array_equal(whole.images, cluttered_fashion.compose("t", "model", 0, 600).images)
    source = cluttered_fashion.CLUTTERED_FASHION.source
    assert isinstance(source, Sampler)
    np.testing.assert_array_equal(source.sample("s", 7, 9).images, whole.images[7:16])


@needs_debian
def test_a_fashion_image_holds_a_whole_piece_of_its_class() -> None:
    canvas = cluttered_fashion.CANVAS
    size, piece, count = canvas.size, canvas.piece, 200
    images = cluttered_fashion.compose("train-annotatable", "annotated", 0, count)
    assert images.images.shape == (count, 1, size, size)
    boxes = cluttered_fashion.piece_boxes(count)
    assert (boxes >= 0).all()
    assert (boxes <= size).all()
    # The piece lies in its box, where no pixel is darker than its own: look it up by its pixels.
    clothes = fashion_mnist.FashionMnist().load("train")[slice(0, 5_000)]
    lit = fashion_mnist.lit_boxes(clothes.images)
    for number in range(20):
        top, left, bottom, right = boxes[number]
        seen = images.images[number, 0, top:bottom, left:right]
        shape = lit[:, 2:] - lit[:, :2]
        same = (shape == (bottom - top, right - left)).all(1)
        same &= clothes.labels[:, 0] == images.labels[number, 0]
        found = [
            (seen >= clothes.images[row, 0][slice(*lit[row, ::2]), slice(*lit[row, 1::2])]).all()
            for row in np.flatnonzero(same)
        ]
        assert any(found)
    # All else is scraps.
    free = (images.images[:, 0] > 0).sum((1, 2)).max()
    assert free <= piece**2 + canvas.scraps * canvas.scrap**2
    points = cluttered_fashion.CLUTTERED_FASHION.source.keypoints(images, np.arange(count), None)
    np.testing.assert_allclose(points[:, 0], (boxes[:, :2] + boxes[:, 2:]) / 2)


@needs_debian
def test_fashion_mnist_splits_are_apart_and_in_file_order() -> None:
    source = get_task("fashion-mnist").source
    counts = {"train": 55_000, "validation": 2_500, "avp_validation": 2_500, "test": 10_000}
    loaded = {split: source.load(split) for split in counts}
    assert {split: len(rows) for split, rows in loaded.items()} == counts
    # The first labels of the published files: ankle boot, T-shirt, ...; ankle boot, pullover, ...
    assert loaded["train"].labels[:5, 0].tolist() == [9, 0, 0, 3, 0]
    assert loaded["test"].labels[:5, 0].tolist() == [9, 2, 1, 1, 6]
    joined = np.concatenate([loaded[s].labels for s in ("train", "validation", "avp_validation")])
    assert np.bincount(joined[:, 0]).tolist() == [6_000] * 10


def test_fashion_mnist_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="train-images-idx3-ubyte"):
        get_task("fashion-mnist").source.load("train", tmp_path)


def test_fashion_mnist_refuses_other_images(tmp_path: Path) -> None:
    small = np.zeros((3, 32, 32), np.uint8)
    header = bytes((0, 0, 8, 3)) + np.array(small.shape, ">u4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + small.tobytes())
    with pytest.raises(NogsError, match=r"\(3, 32, 32\), not \(10000, 28, 28\)"):
        get_task("fashion-mnist").source.load("test", tmp_path)
