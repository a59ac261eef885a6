"""A task and its images: what does not fit is refused, with what is wanted and what came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nogs_bench.errors import NogsError
from nogs_bench.images import Label, LabelledImages
from nogs_bench.tasks import (
    Annotation,
    AvpTraining,
    GlimpseGrid,
    Pretraining,
    Training,
    TrainingProtocol,
    load_split,
)
from tiny import Corner, corner_images, corner_task


@dataclass(frozen=True)
class Given:
    """A source of whatever a test wants."""

    made: Any
    summary: str = "of the tests"

    def load(self, split: str, data: Path | None = None) -> Any:
        return self.made() if callable(self.made) else self.made


GOOD = corner_images(0, 400)


def one_hot() -> LabelledImages:
    return LabelledImages(GOOD.images, np.eye(4, dtype=np.int64)[GOOD.labels[:, 0]])


def a_bug() -> None:
    raise ZeroDivisionError("division by\nzero")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            LabelledImages(np.repeat(GOOD.images, 3, 1), GOOD.labels),
            r"corner, train: the task's .* = \(1, 12, 12\), its source gives \(3, 12, 12\)",
        ),
        (
            LabelledImages(np.zeros((400, 1, 32, 32), np.uint8), GOOD.labels),
            r"its source gives \(1, 32, 32\)",
        ),
        (
            LabelledImages(GOOD.images[:, :, :, :8], GOOD.labels),
            r"its source gives \(1, 12, 8\)",
        ),
        (corner_images(0, 200), "corner, train: the task says 400 images, its source gives 200"),
        (
            one_hot(),
            r"brightness, so labels \(n, 1\); its source gives \(400, 4\); a one-hot",
        ),
        (
            LabelledImages(GOOD.images, GOOD.labels.astype(np.float32)),
            "labels must be integers, its source gives float32",
        ),
        (
            LabelledImages(GOOD.images, GOOD.labels + 1),
            r"brightness = 4; its classes are 0\.\.3",
        ),
        (LabelledImages(GOOD.images, GOOD.labels - 1), r"has brightness = -1"),
        (
            (GOOD.images, GOOD.labels),
            r"corner, train: its source must return LabelledImages.*returned a tuple",
        ),
        (None, "returned a NoneType"),
        (
            lambda: LabelledImages(GOOD.images.astype(np.float32), GOOD.labels),
            "corner, train: images must be uint8.*got float32",
        ),
        (lambda: LabelledImages(GOOD.images.tolist(), GOOD.labels), "numpy array, got a list"),
        (
            lambda: LabelledImages(GOOD.images, GOOD.labels[:, 0]),
            r"must be integers \(n, labels",
        ),
        (a_bug, r"its source failed: ZeroDivisionError.*test_loading\.py, line \d+"),
    ],
)
def test_what_does_not_fit_is_refused(made: Any, message: str) -> None:
    with pytest.raises(NogsError, match=message) as caught:
        load_split(corner_task(source=Given(made)), "train")
    assert "\n" not in str(caught.value)


def test_what_fits_comes_as_int64() -> None:
    small = LabelledImages(GOOD.images, GOOD.labels.astype(np.uint8))
    rows = load_split(corner_task(source=Given(small)), "train")
    assert rows.labels.dtype == np.int64
    np.testing.assert_array_equal(rows.labels, GOOD.labels)
    assert len(load_split(corner_task(source=Corner()), "test")) == 80


def _protocol(**changes: Any) -> TrainingProtocol:
    return TrainingProtocol(**{"name": "p", "iterations": 5, "target_accuracy": 0.8} | changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: corner_task(name="my birds"), "task's name 'my birds' is no name"),
        (lambda: corner_task(name="../evil"), "'../evil' is no name"),
        (lambda: corner_task(name=""), "'' is no name"),
        (lambda: corner_task(family="a/b"), "family's name 'a/b' is no name"),
        (lambda: _protocol(name="a.b/c"), "protocol's name"),
        (lambda: _protocol(target_accuracy=80), r"target_accuracy must be in 0 \.\. 1, not 80"),
        (lambda: _protocol(iterations=0), "iterations must be at least 1, not 0"),
        (lambda: Label("species", ("owl", "owl")), "label 'species' has the class 'owl' twice"),
        (lambda: Label("species", ("owl",)), "has 1 class; there must be two"),
        (lambda: Label("species", "owl"), "'owl' is one text; give a list of names"),
        (lambda: Label(" ", ("owl", "auk")), "must be a text, and not empty"),
        (lambda: Label("species", ("owl", "")), "not empty"),
        (lambda: AvpTraining("conv", epochs=0), "epochs must be at least 1, not 0"),
        (lambda: AvpTraining("conv", epochs=1, warmup=2), r"warmup must be in 0 \.\. 1"),
        (lambda: Annotation(images=0, bank_images=1), "images must be at least 1"),
        (lambda: Annotation(images=2.5, bank_images=1), "images must be an integer, not 2.5"),
        (lambda: Training(batch_size=0), "batch_size must be at least 1"),
        (lambda: Training(learning_rate=-1), "learning_rate must be at least 0"),
        (lambda: Training(learning_rate=float("nan")), "learning_rate must be a number"),
        (lambda: Training(hidden="64"), "hidden must be an integer, not '64'"),
        (lambda: Pretraining(0, 1e-3), "iterations must be at least 1"),
        (lambda: GlimpseGrid.even(12.0, 4, 4), "a grid takes integers"),
        (lambda: GlimpseGrid.even(12, 4, 0), "a stride of at least 1"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(make: Any, message: str) -> None:
    with pytest.raises(NogsError, match=message):
        make()


def test_numpy_s_numbers_are_accepted_and_become_python_s() -> None:
    grid = GlimpseGrid.even(np.int64(12), np.int32(4), np.int64(4))
    rows = tuple(np.arange(0, 9, 4))
    assert GlimpseGrid(12, 4, rows, rows) == grid
    task = corner_task(
        T=np.int64(2),
        version=np.int16(1),
        grid=grid,
        training=Training(batch_size=np.int64(16), learning_rate=np.float32(0.5)),
    )
    numbers = (task.T, task.version, grid.image_size, grid.rows[0], task.training.batch_size)
    assert {type(number) for number in numbers} == {int}
    assert type(task.training.learning_rate) is float
