"""What a choice loses, over the bank, beside what it loses in a world that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.search import Annotator, Chosen, regrets
from nogs_bench.builders.search.regret import DRAWS
from small_world import SmallWorld

WORLD = SmallWorld()
T, IMAGES, MEASURED = 4, 720, 12


def annotator(samples: int) -> Annotator:
    task = WORLD.task(T)
    settings = replace(
        task.annotation,
        effective_samples=400.0,
        samples=samples,
        first_samples=2000,
        search="exhaustive",
    )
    task = replace(task, annotation=settings)
    bank = WORLD.draw(20_000, np.random.default_rng(3))
    return Annotator(task, WORLD, Retrieval(bank, task.grid, settings), 1)


def chosen(one: Annotator) -> Chosen:
    images = WORLD.draw(IMAGES, np.random.default_rng(4)).images
    some = np.linspace(0, IMAGES - 1, MEASURED).round().astype(int)
    made = one.annotate(images[some], some.tolist(), one.first_step())
    cells = np.zeros((IMAGES, T), np.int64)
    cells[some] = made.cells[:, 0]
    return Chosen(images, np.arange(IMAGES), cells)


def exact(some: Chosen) -> np.ndarray:
    """float64 (n, T): the true EPE of each cell above the least."""
    rows = np.zeros((MEASURED, T))
    for row, number in enumerate(np.linspace(0, IMAGES - 1, MEASURED).round().astype(int)):
        for t in range(1, T):
            every = WORLD.exact_epe(some.images[number], some.cells[number, :t])
            rows[row, t] = every[some.cells[number, t]] - every.min()
    return rows


def test_the_regret_is_that_of_the_world() -> None:
    """Choices by 10 completions lose much, those by 1,000 little."""
    hasty, careful = (chosen(annotator(samples)) for samples in (10, 1000))
    one = annotator(1000)
    found = {name: regrets(one, 0, c) for name, c in (("h", hasty), ("c", careful))}
    for name, some in (("h", hasty), ("c", careful)):
        assert found[name].shape == (MEASURED, T)
        assert (found[name] >= 0).all()
        assert not found[name][:, 0].any()
        assert abs(found[name][:, 1:].mean() - exact(some)[:, 1:].mean()) < 0.012
    assert found["c"].mean() < 0.5 * found["h"].mean()


def test_it_is_measured_of_few() -> None:
    one = annotator(20)
    assert regrets(one, 0, Chosen(*(np.empty((59, 1)),) * 3)).shape == (0, T)


def test_it_stops_when_it_has_taken_its_share() -> None:
    """Of some of the same images, the regrets of those."""
    one, some = annotator(20), chosen(annotator(20))
    every = regrets(one, 0, some)
    most = WORLD.task(T).grid.cells * DRAWS * (T - 1)  # of one image
    found = [regrets(one, 0, some, count * most / 4) for count in (1, 2, 4)]
    sizes = [len(few) for few in found]
    assert 0 < sizes[0] < sizes[-1] < MEASURED
    assert sizes == sorted(sizes)
    for few in found:
        assert all((every == row).all(1).any() for row in few)
    assert regrets(one, 0, some, 10).shape == (0, T)
