"""How the grid is searched for the cell of least EPE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nogs_bench.builders.epe import EpeEstimator
from nogs_bench.registry import Registry

KEEP = 0.4
SURVIVORS = 4
FIRST_SHARE = 1 / 25


@dataclass(frozen=True)
class Found:
    """Outcome of a search.

    - `cell`: the chosen index.
    - `epe`: float64 (cells,), nats, the estimate at every cell from the completions spent on it.
    - `evaluations`: posteriors computed.
    """

    cell: int
    epe: np.ndarray
    evaluations: int


Search = Callable[[EpeEstimator, int], Found]
"""Maps an estimator and the number of cells to what was found."""

SEARCHES: Registry[Search] = Registry("search", group="nogs_bench.searches")


@SEARCHES.register("exhaustive")
def exhaustive(estimator: EpeEstimator, cells: int) -> Found:
    """Every completion at every cell, as algorithm 1."""
    epe = estimator.values(np.arange(cells), 0, estimator.samples).mean(1)
    return Found(int(epe.argmin()), epe, cells * estimator.samples)


@SEARCHES.register("halving")
def halving(estimator: EpeEstimator, cells: int) -> Found:
    """Sequential halving (Karnin et al. 2013) on common random numbers.

    All cells start with few completions; in each round the best 40 % go on with twice as many, the
    last few with all of them. A dropped cell's estimate is corrected by what the last few's moved
    since.
    """
    totals, counts = np.zeros(cells), np.zeros(cells, np.int64)
    alive, used, evaluations = np.arange(cells), 0, 0
    target = max(1, min(round(estimator.samples * FIRST_SHARE), estimator.samples))
    after: dict[int, np.ndarray] = {}
    while True:
        totals[alive] += estimator.values(alive, used, target).sum(1)
        counts[alive] = target
        after[target] = totals / target
        evaluations += len(alive) * (target - used)
        if target == estimator.samples:
            break
        order = np.argsort(totals[alive] / target, kind="stable")
        alive = np.sort(alive[order[: max(SURVIVORS, round(KEEP * len(alive)))]])
        last = len(alive) <= SURVIVORS
        used, target = target, estimator.samples if last else min(2 * target, estimator.samples)
    # What the survivors' estimates moved by since a cell was dropped, its own would have too: the
    # completions are the same.
    moved = {count: (after[target] - means)[alive].mean() for count, means in after.items()}
    epe = totals / counts + np.array([moved[count] for count in counts.tolist()])
    return Found(int(alive[epe[alive].argmin()]), epe.clip(min=0), evaluations)
