"""How far chosen cells are from the best, over all that the bank says."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from nogs_bench.builders.search.annotate import Annotator
from nogs_bench.builders.search.racing import FIRST, FIRST_RISK, GOLDEN, Race
from nogs_bench.builders.search.searches import Ask, Found, Problem, Search

# Completions: on a large grid fewer, so that a step's pairs of them and cells stay affordable.
DRAWS, FEWEST, PAIRS = 4000, 500, 2_000_000
MOST = 50
ONE_IN = 60


@dataclass(frozen=True)
class Chosen:
    """Sequences of some images for one target.

    - `images`: uint8 (n, channels, image_size, image_size); `numbers`: int64 (n,).
    - `cells`: int64 (n, T).
    """

    images: np.ndarray
    numbers: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)


def regrets(
    annotator: Annotator, target: int, chosen: Chosen, posteriors: float = np.inf
) -> np.ndarray:
    """float64 (m, T), nats: the EPE of each chosen cell above that of the best cell.

    Both are means over 4,000 completions, drawn anew from the same weights: nearly the weighted
    mean over the whole bank; over fewer, down to 500, on grids of more than 500 cells. All cells
    race for the best (`Race`, at a risk of 0.1 %). The first glimpse was raced over the bank, so
    its regret is not measured, and the first column is 0.

    Measured of one image in 60, spread evenly, and of 50 at most, since an image takes several
    times as many posteriors as its search did. Where the best of many cells is hard to tell, it
    takes far more: images that would need more than so many `posteriors` in all, to within a step,
    are left out. Of none where completions come from no bank.
    """
    count = min(MOST, len(chosen) // ONE_IN)
    if np.isinf(annotator.completion.support):
        count = 0
    places = np.linspace(0, len(chosen) - 1, count).round().astype(np.int64)
    rows: dict[int, np.ndarray] = {}
    # However many are measured, they are spread over all.
    for place in np.argsort(np.arange(count) * GOLDEN % 1).tolist():
        row, posteriors = _of_image(annotator, target, chosen, int(places[place]), posteriors)
        if posteriors < 0:
            break
        rows[place] = row
    return np.array([rows[place] for place in sorted(rows)]).reshape(len(rows), annotator.task.T)


def _of_image(
    annotator: Annotator, target: int, chosen: Chosen, place: int, posteriors: float
) -> tuple[np.ndarray, float]:
    """float64 (T,): one image's regrets, and how many posteriors are left; below 0 if these were
    too few."""
    task, image, cells = annotator.task, chosen.images[place], chosen.cells[place]
    query = annotator.completion.query(image)
    regret, draws = np.zeros(task.T), int(np.clip(PAIRS // task.grid.cells, FEWEST, DRAWS))
    for t in range(1, task.T):
        prefix = cells[:t]
        query.observe(int(cells[t - 1]))
        rng = np.random.default_rng([annotator.seed, 3, int(chosen.numbers[place]), t])
        step = annotator.step(query, image, prefix, (target,), rng, draws)
        cell = int(cells[t])
        (found,), (spent,) = annotator.evaluator.search(_beside(cell), [step], task.grid.shape)
        regret[t] = found[target].epe[cell] - found[target].epe[found[target].cell]
        posteriors -= spent
        if posteriors < 0:
            break
    return regret, posteriors


def _beside(cell: int) -> Search:
    """The best cell, and the mean over every completion there and at `cell`."""

    def search(problem: Problem) -> Generator[Ask, np.ndarray, Found]:
        race = Race(problem, FIRST_RISK, FIRST)
        yield from race.sort()
        yield from race.run(np.arange(problem.cells))
        yield from race.show(np.array([cell]), problem.samples)
        # The cell itself has seen all, so that no regret is below 0.
        return Found((yield from race.settle()), race.means)

    return search
