"""A race, and a second one for the cells that it may have dropped too soon.

A race's first rounds are cheap because they see few completions, and now and then they mislead: a
cell that some rare completions make the best one is gone before these are seen. Few cells come
into question, and what they lack costs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nogs_bench.builders.coarse import neighbours
from nogs_bench.builders.racing import RISK, Race
from nogs_bench.builders.search import SEARCHES, Problem, Steps

GROWTH = 1.5
MOST = 3


@dataclass(frozen=True)
class Rematch:
    """Race all cells; then let those dropped ones that lie lowest, and the winner's neighbours, see
    more completions and race the winner from there; up to three times, as long as there are such
    that have not been tried.

    - `first`, `risk`: completions of the first round, and the risk at which the first race drops
      cells; see `Race`.
    - `again`: how many of the dropped cells lie low enough to race once more.
    - `seen_again`: completions that they see before any is dropped again.
    - `risk_again`: the risk from then on.
    """

    first: int = 48
    risk: float = RISK
    again: int = 24
    seen_again: int = 160
    risk_again: float = RISK

    def __call__(self, problem: Problem) -> Steps:
        race = Race(problem, self.risk, self.first, GROWTH)
        yield from race.sort()
        yield from race.run(np.arange(problem.cells))
        race.risk = self.risk_again
        tried = np.zeros(problem.cells, bool)
        for _ in range(MOST):
            cell, epe = race.estimates()
            tried |= race.seen == problem.samples
            again = np.union1d(
                np.argsort(np.where(tried, np.inf, epe), kind="stable")[: self.again],
                neighbours(cell, problem.shape),
            )
            again = again[~tried[again]]
            if not len(again):
                break
            tried[again] = True
            yield from race.run(again, self.seen_again)
        # What it says of the winner rests on every completion; the others' are corrected by it.
        cell, _ = race.estimates()
        yield from race.show(np.array([cell]), problem.samples)
        return race.found()


SEARCHES.add("rematch", Rematch())
# A first race that costs less, and a second one of more cells that hardly drops any by mistake.
SEARCHES.add("wide-rematch", Rematch(first=32, risk=0.1, again=32, seen_again=90, risk_again=3e-4))
