"""A race, and a second one for the cells that it may have dropped too soon.

A race's first rounds are cheap because they see few completions, and now and then they mislead: a
cell that some rare completions make the best one is gone before these are seen. Few cells come
into question, and what they lack costs little.
"""

from __future__ import annotations

import numpy as np

from nogs_bench.builders.search.coarse import neighbours
from nogs_bench.builders.search.racing import Race
from nogs_bench.builders.search.searches import SEARCHES, Problem, Steps

FIRST = 48
GROWTH = 1.5
SEEN_AGAIN = 160
AGAIN = 36
RISK_AGAIN = 3e-4
MOST = 3


@SEARCHES.register("rematch")
def rematch(problem: Problem) -> Steps:
    """Race all cells; then let the 36 dropped ones that lie lowest, and the winner's neighbours,
    see at least 160 completions and race the winner from there, dropped at a risk of 0.03 %; up to
    three times, as long as there are such that have not been tried.
    """
    race = Race(problem, first=FIRST, growth=GROWTH)
    yield from race.sort()
    yield from race.run(np.arange(problem.cells))
    race.risk = RISK_AGAIN
    tried = np.zeros(problem.cells, bool)
    cell = yield from race.settle()
    for _ in range(MOST):
        _, epe = race.estimates()
        tried |= race.seen == problem.samples
        again = np.union1d(
            np.argsort(np.where(tried, np.inf, epe), kind="stable")[:AGAIN],
            neighbours(cell, problem.shape),
        )
        again = again[~tried[again]]
        if not len(again):
            break
        tried[again] = True
        yield from race.run(again, SEEN_AGAIN)
        cell = yield from race.settle()
    # What it says of the winner rests on every completion; the others' are corrected by it.
    return race.found()
