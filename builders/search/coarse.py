"""Coarse to fine: the map is smooth, so a lattice of cells tells where the least ones are."""

from __future__ import annotations

import numpy as np

from nogs_bench.builders.search.racing import Race, interpolated
from nogs_bench.builders.search.searches import SEARCHES, Problem, Steps

LATTICE = 7
SPACING = 4
COARSE = 32
SHARE = 0.15
FEWEST = 12


@SEARCHES.register("coarse-to-fine")
def coarse_to_fine(problem: Problem) -> Steps:
    """A lattice (every other cell of 13, every fourth of 50) sees a few completions; the cells that
    lie lowest on the map interpolated from it, and then the winner's neighbours, run a race.

    `epe` is interpolated where cells never ran, and `bound` is infinite: it would have to cover
    those too.
    """
    side = max(LATTICE, round(max(problem.shape) / SPACING))
    coarse = lattice(problem.shape, side**2)
    race = Race(problem)
    count = min(COARSE, problem.samples)
    yield from race.sort()
    yield from race.show(coarse, count)
    epe = np.full(problem.cells, np.nan)
    epe[coarse] = race.values[coarse, :count].mean(1)
    guess = interpolated(epe, problem.shape)
    wanted = max(round(SHARE * problem.cells), FEWEST)
    low = np.argsort(guess, kind="stable")[:wanted]
    yield from race.run(low)
    # Downhill from the winner: its neighbours join, until it has none that never ran.
    ran = np.zeros(problem.cells, bool)
    ran[low] = True
    while True:
        cell = yield from race.settle()
        around = neighbours(cell, problem.shape)
        new = around[~ran[around]]
        if not len(new):
            return race.found()
        ran[new] = True
        yield from race.run(new)


def lattice(shape: tuple[int, int], about: int) -> np.ndarray:
    """int64: about so many cells, evenly spread over a grid from edge to edge; all if fewer."""
    sides = [np.unique(np.linspace(0, n - 1, min(n, round(about**0.5))).round()) for n in shape]
    rows, cols = (side.astype(np.int64) for side in sides)
    return (rows[:, None] * shape[1] + cols).ravel()


def neighbours(cell: int, shape: tuple[int, int]) -> np.ndarray:
    """int64: a cell and the up to eight around it."""
    row, col = divmod(cell, shape[1])
    near = [
        (row + down, col + across)
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
        if 0 <= row + down < shape[0] and 0 <= col + across < shape[1]
    ]
    return np.array([r * shape[1] + c for r, c in near])
