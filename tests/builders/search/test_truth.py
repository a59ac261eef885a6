"""Annotation in a world whose posteriors are known: what is stated, what is true, what is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.search.annotate import Annotator
from small_world import SmallWorld

WORLD = SmallWorld()
T, IMAGES = 4, 24


def made(observed: str, criterion: str = "cross-entropy", effective: float = 200.0):
    """Sequences, float64 (IMAGES, T): what was stated, and the exact EPE of the chosen cells."""
    rng = np.random.default_rng(3)
    bank, images = WORLD.draw(20_000, rng), WORLD.draw(IMAGES, rng).images
    task = WORLD.task(T)
    settings = replace(
        task.annotation,
        criterion=criterion,
        observed=observed,
        effective_samples=effective,
        samples=800,
        first_samples=2000,
        search="exhaustive",
        together=False,
    )
    task = replace(task, annotation=settings)
    annotator = Annotator(task, WORLD, Retrieval(bank, task.grid, settings), 1)
    sequences = annotator.annotate(images, range(IMAGES), annotator.first_step())
    cells, exact, least = sequences.cells[:, 0], np.empty((IMAGES, T)), np.empty((IMAGES, T))
    for number, image in enumerate(images):
        for t in range(T):
            every = WORLD.exact_epe(image, cells[number, :t])
            exact[number, t], least[number, t] = every[cells[number, t]], every.min()
    return sequences.epe[:, 0], exact, exact - least


def test_the_world_s_epe_is_what_its_images_show() -> None:
    """Against draws of the world that agree with what was seen."""
    drawn = WORLD.draw(60_000, np.random.default_rng(0))
    image, prefix = drawn.images[0], np.array([7])
    seen = WORLD.grid.masks[prefix].any(0)
    same = (drawn.images[:, 0, seen] == image[0, seen]).all(1)
    images = torch.from_numpy(drawn.images[same])
    exact = WORLD.exact_epe(image, prefix)
    for cell in (0, 7, 12):
        cells = torch.tensor([[7, cell]]).expand(len(images), -1)
        log = WORLD.log_posterior(images, cells)
        labels = torch.from_numpy(drawn.labels[same])
        for nats in (torch.special.entr(log.exp()).sum(1), -log.gather(1, labels)[:, 0]):
            error = float(nats.std() / len(images) ** 0.5)
            assert abs(float(nats.mean()) - exact[cell]) < 4 * error + 1e-6


@pytest.mark.parametrize("criterion", ["cross-entropy", "entropy"])
@pytest.mark.parametrize("observed", ["sample", "pasted"])
def test_what_is_stated_is_true(observed: str, criterion: str) -> None:
    stated, exact, regret = made(observed, criterion)
    assert (np.abs((stated - exact).mean(0)) < 0.05).all()
    assert (regret.mean(0) < 0.02).all()


def test_pasted_pixels_need_labels_that_they_speak_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bank's labels, an earlier glimpse speaks against the label asked about."""
    monkeypatch.setattr(Annotator, "_belief", lambda self, image, prefix, target: None)
    stated, exact, _ = made("pasted", effective=400.0)
    assert (stated - exact).mean(0)[-1] > 0.05
