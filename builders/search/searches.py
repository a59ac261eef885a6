"""How the grid is searched for the cell of least EPE: the interface, and the two plain searches.

A search is a generator: it asks for the nats of some completions at some cells, is sent them, and
in the end returns what it found. Whoever runs it answers; `lockstep` runs the searches of many
images at once and puts what they ask for into common batches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from nogs_bench.registry import Registry

KEEP = 0.4
SURVIVORS = 4
FIRST_SHARE = 1 / 25


@dataclass(frozen=True)
class Problem:
    """What a search is to search.

    - `shape`: rows and columns of the grid of cells, which are numbered row by row.
    - `samples`: N, the number of completions, in random order, the same for every cell (common
      random numbers).
    - `taken`: cells taken so far; a glimpse there again shows nothing new.
    - `effective_samples`: of the weights that the completions were drawn with; infinity where they
      are independent draws. Drawing more of the same few images does not make more certain.
    """

    shape: tuple[int, int]
    samples: int
    taken: tuple[int, ...] = ()
    effective_samples: float = np.inf

    @property
    def cells(self) -> int:
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class Ask:
    """Wanted: the nats of `completions`, int64 (m,), at distinct `cells`, int64 (k,); float64
    (k, m)."""

    cells: np.ndarray
    completions: np.ndarray


@dataclass(frozen=True)
class Found:
    """Outcome of a search.

    - `cell`: the chosen index.
    - `epe`: float64 (cells,), nats, the estimate at every cell; how a search comes by those that
      it did not evaluate with all completions, or not at all, it says itself.
    - `bound`: nats by which the chosen cell's EPE exceeds the least one at most, with the
      confidence that the search states; infinity where it states none.
    """

    cell: int
    epe: np.ndarray
    bound: float = np.inf


Steps = Generator[Ask, np.ndarray, Found]
Search = Callable[[Problem], Steps]

SEARCHES: Registry[Search] = Registry("search", group="nogs_bench.searches")


def run_search(
    search: Search, problem: Problem, values: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Found:
    """One search alone; `values(cells, completions)` answers what it asks."""
    steps = search(problem)
    try:
        ask = next(steps)
        while True:
            ask = steps.send(values(ask.cells, ask.completions))
    except StopIteration as end:
        found: Found = end.value
        return found


@SEARCHES.register("exhaustive")
def exhaustive(problem: Problem) -> Steps:
    """Every completion at every cell, as algorithm 1."""
    values = yield Ask(np.arange(problem.cells), np.arange(problem.samples))
    epe = values.mean(1)
    return Found(int(epe.argmin()), epe)


@SEARCHES.register("halving")
def halving(problem: Problem) -> Steps:
    """Sequential halving (Karnin et al. 2013) on common random numbers.

    All cells start with few completions; in each round the best 40 % go on with twice as many, the
    last few with all of them. A dropped cell's estimate is corrected by what the last few's moved
    since.
    """
    samples = problem.samples
    totals, counts = np.zeros(problem.cells), np.zeros(problem.cells, np.int64)
    alive, used = np.arange(problem.cells), 0
    target = max(1, min(round(samples * FIRST_SHARE), samples))
    after: dict[int, np.ndarray] = {}
    while True:
        values = yield Ask(alive, np.arange(used, target))
        totals[alive] += values.sum(1)
        counts[alive] = target
        after[target] = totals / target
        if target == samples:
            break
        order = np.argsort(totals[alive] / target, kind="stable")
        alive = np.sort(alive[order[: max(SURVIVORS, round(KEEP * len(alive)))]])
        last = len(alive) <= SURVIVORS
        used, target = target, samples if last else min(2 * target, samples)
    # What the survivors' estimates moved by since a cell was dropped, its own would have too: the
    # completions are the same.
    moved = {count: (after[target] - means)[alive].mean() for count, means in after.items()}
    epe = totals / counts + np.array([moved[count] for count in counts.tolist()])
    return Found(int(alive[epe[alive].argmin()]), epe.clip(min=0))
