"""A CPU against a GPU: the same up to rounding, which on a GPU is that of TF32 convolutions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.search.annotate import Annotator, Sequences
from tiny import corner_images, corner_task
from weights import trained

TOLERANCE = 0.01  # nats


@pytest.fixture
def gpu() -> str:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return "cuda"


def annotated(device: str) -> Sequences:
    """Of twelve images, every cell with every completion."""
    task = corner_task()
    settings = replace(task.annotation, search="exhaustive")
    task = replace(task, annotation=settings)
    bank, images = corner_images(7, 150), corner_images(8, 12).images
    posterior = trained(task).to(device)
    retrieval = Retrieval(bank, task.grid, settings, device=device)
    annotator = Annotator(task, posterior, retrieval, 0, device)
    return annotator.annotate(images, range(12), annotator.first_step())


def compare(a: Sequences, b: Sequences) -> None:
    """Maps agree. What was chosen first is the same; then, where nothing is all but as good."""
    np.testing.assert_array_equal(a.cells[:, 0, 0], b.cells[:, 0, 0])
    np.testing.assert_allclose(a.maps.astype(float), b.maps.astype(float), atol=TOLERANCE)
    np.testing.assert_allclose(a.epe, b.epe, atol=TOLERANCE)
    clear = np.diff(np.sort(a.maps.astype(float), axis=-1)[..., :2])[..., 0] > 2 * TOLERANCE
    np.testing.assert_array_equal(a.cells[clear], b.cells[clear])


def test_the_tolerance_tells_posteriors_apart() -> None:
    """Maps span several times as much, and the first choice is a clear one."""
    made = annotated("cpu")
    maps = made.maps.astype(float)
    assert np.ptp(maps, axis=-1).min() > 2 * TOLERANCE
    best = np.sort(maps[0, 0, 0])
    assert best[1] - best[0] > 2 * TOLERANCE
    compare(made, annotated("cpu"))


def test_a_gpu_annotates_as_a_cpu_does(gpu: str) -> None:
    compare(annotated("cpu"), annotated(gpu))
