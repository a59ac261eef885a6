"""A race, and a second one for the cells that it may have dropped too soon.

A race's first rounds are cheap because they see few completions, and now and then they mislead: a
cell that some rare completions make the best one is gone before these are seen. Few cells come
into question, and what they lack costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nogs_bench.builders.search.coarse import neighbours
from nogs_bench.builders.search.racing import RISK, Race
from nogs_bench.builders.search.searches import SEARCHES, Problem, Steps

FIRST = 48
GROWTH = 1.5
SEEN_AGAIN = 160
MOST = 3


@dataclass(frozen=True)
class Rematch:
    """Race all cells; then let those dropped ones that lie lowest, and the winner's neighbours, see
    160 completions and race the winner from there; up to three times, as long as there are such
    that have not been tried.

    - `again`: how many of the dropped cells lie low enough to race once more.
    - `risk`: the risk at which a cell is dropped then; see `Race`.
    """

    again: int = 24
    risk: float = RISK

    def __call__(self, problem: Problem) -> Steps:
        race = Race(problem, first=FIRST, growth=GROWTH)
        yield from race.sort()
        yield from race.run(np.arange(problem.cells))
        race.risk = self.risk
        tried = np.zeros(problem.cells, bool)
        cell = yield from race.settle()
        for _ in range(MOST):
            _, epe = race.estimates()
            tried |= race.seen == problem.samples
            again = np.union1d(
                np.argsort(np.where(tried, np.inf, epe), kind="stable")[: self.again],
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


SEARCHES.add("rematch", Rematch())
# Of more cells, hardly any of which is dropped by mistake.
SEARCHES.add("wide-rematch", Rematch(again=36, risk=3e-4))
