"""Racing: cells drop out as soon as the completions seen so far tell that they are worse.

Cells share completions (common random numbers), so the race is run on paired differences to the
cell that leads: Hoeffding races (Maron and Moore 1994) with Student's t in place of Hoeffding's
bound.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache

import numpy as np
from scipy.special import stdtrit

from nogs_bench.builders.search.searches import SEARCHES, Ask, Found, Problem, Steps

FIRST = 32
GROWTH = 2.0
RISK = 0.01
GOLDEN = (5**0.5 - 1) / 2
TOLERANCE = 0.002
PRIOR_COUNT = 8
CONFIDENCE = 0.95
FIRST_SEEN = 1000
FIRST_RISK = 1e-3


@SEARCHES.register("racing")
def racing(problem: Problem) -> Steps:
    """Race all cells; see `Race`."""
    race = Race(problem)
    yield from race.sort()
    yield from race.run(np.arange(problem.cells))
    return race.found()


def first_race(problem: Problem) -> Steps:
    """Race all cells over many completions, taken in order: for the first glimpse.

    All cells see 1,000; then those go on that may be the least, at a risk of 0.1 %, twice as many
    each round. `epe` of a dropped cell is corrected by what the last ones' moved since.
    """
    race = Race(problem, FIRST_RISK, FIRST_SEEN)
    yield from race.run(np.arange(problem.cells))
    yield from race.settle()
    return race.found()


class Race:
    """One race over the completions of a problem, joined by more cells if need be.

    In each round all cells in it have seen the same first completions, `growth` times as many as in
    the round before. A cell stays if its mean difference to the leader is less than the upper
    `risk` quantile of Student's t allows, less a tolerance of 0.002 nats. The errors are of what
    the mean over all N completions will be, so they vanish as n goes to N; a cell's variance,
    uncertain after few completions, is averaged with the median of all.

    Completions are not taken at random: all are asked at the last cell taken, which tells how hard
    each is given what has been seen, and sorted by that, and any first ones of the race are spread
    evenly over that order (by the golden ratio; Kronecker's sequence). A race's first rounds
    then see hard and easy ones in proportion, and its errors are smaller than they are taken for.

    Dropping is a gamble at those odds, made to be cheap; what can be said for certain of the
    outcome is `Found.bound`: with `CONFIDENCE`, the chosen cell's EPE exceeds the least by at most
    that much. It is the greatest upper confidence limit of the leader's excess over any other cell,
    by Student's t on the completions both have seen, at a level divided by the cells and by
    the rounds (a union bound). It is about the EPE, not about the completions drawn: n of them,
    drawn with weights of effective sample size m, count as 1 / (1/n + 1/m) independent ones.
    """

    def __init__(
        self, problem: Problem, risk: float = RISK, first: int = FIRST, growth: float = GROWTH
    ):
        self.problem, self.risk = problem, risk
        # Of each cell: the nats of the completions seen, in the race's order, how many, their mean.
        self.values = np.empty((problem.cells, problem.samples))
        self.seen = np.zeros(problem.cells, np.int64)
        self.means = np.full(problem.cells, np.nan)
        self.order = np.arange(problem.samples)
        self.alive = np.empty(0, np.int64)
        self.rounds = _rounds(problem.samples, first, growth)

    def sort(self) -> Generator[Ask, np.ndarray, None]:
        """Bring the completions into the race's order."""
        if self.problem.taken:
            (nats,) = yield Ask(np.array(self.problem.taken[-1:]), self.order)
            place = np.argsort(np.argsort(self.order * GOLDEN % 1))
            self.order = np.argsort(nats, kind="stable")[place]

    def run(self, cells: np.ndarray, least: int = 0) -> Generator[Ask, np.ndarray, None]:
        """Race the cells that join, int64 (k,), and those still in it, to the end; without the
        rounds of fewer than `least` completions, if there are others."""
        self.alive = np.union1d(self.alive, cells)
        for count in [n for n in self.rounds if n >= min(least, self.problem.samples)]:
            yield from self.show(self.alive, count)
            self.alive = self.alive[self._may_be_best(self.alive, count)]
            if len(self.alive) == 1:
                break

    def settle(self) -> Generator[Ask, np.ndarray, int]:
        """Let the leader see every completion, and give the least of all cells that have.

        A cell that had seen all of them may have been dropped since, beside others that had seen a
        few: it counts again.
        """
        cell, _ = self.estimates()
        yield from self.show(np.array([cell]), self.problem.samples)
        full = np.flatnonzero(self.seen == self.problem.samples)
        best = int(full[self.means[full].argmin()])
        self.alive = np.array([best])
        return best

    def show(self, cells: np.ndarray, count: int) -> Generator[Ask, np.ndarray, None]:
        """Let cells see the first `count` completions."""
        for seen in np.unique(self.seen[cells]):
            if seen < count:
                some = cells[self.seen[cells] == seen]
                values = yield Ask(some, self.order[seen:count])
                self.values[some, seen:count] = values
                self.seen[some] = count
                self.means[some] = self.values[some, :count].mean(1)

    def _may_be_best(self, cells: np.ndarray, count: int) -> np.ndarray:
        """bool (k,): which of the cells a race may not drop after `count` completions."""
        values = self.values[cells, :count]
        means = values.mean(1)
        excess = means - means.min()
        if count == self.problem.samples:
            return excess <= 0
        error = self._errors(values - values[excess.argmin()])
        error *= np.sqrt(1 - count / self.problem.samples)
        most = _quantile(self.risk, count - 1) * error - TOLERANCE
        return excess <= np.maximum(most, 0)

    @staticmethod
    def _errors(differences: np.ndarray) -> np.ndarray:
        """float64 (k,): standard errors of the mean differences (k, n), n > 1, shrunk."""
        count = differences.shape[1]
        variance = differences.var(1, ddof=1)
        variance = (count * variance + PRIOR_COUNT * np.median(variance)) / (count + PRIOR_COUNT)
        return np.asarray(np.sqrt(variance / count))

    def found(self) -> Found:
        """The leader of those left; `epe` is `interpolated` where cells never ran."""
        cell, epe = self.estimates()
        return Found(cell, interpolated(epe, self.problem.shape).clip(min=0), self._bound(cell))

    def estimates(self) -> tuple[int, np.ndarray]:
        """The leader of those left, and float64 (cells,), nats: means, that of a dropped cell
        corrected by what the last ones' moved since; NaN where cells never ran, or saw more."""
        last = self.values[self.alive, : self.seen[self.alive].max()]
        means = last.cumsum(1) / np.arange(1, last.shape[1] + 1)
        moved = (means[:, -1:] - means).mean(0)
        some = (self.seen > 0) & (self.seen <= last.shape[1])
        epe = np.full(self.problem.cells, np.nan)
        epe[some] = self.means[some] + moved[self.seen[some] - 1]
        return int(self.alive[means[:, -1].argmin()]), epe

    def _bound(self, cell: int) -> float:
        rivals = np.flatnonzero(self.seen > 0)
        if len(rivals) < self.problem.cells:
            return np.inf  # nothing is certain of cells that never ran
        level = (1 - CONFIDENCE) / (self.problem.cells * len(self.rounds))
        worst = 0.0
        for n in np.unique(self.seen):
            some = np.flatnonzero(self.seen == n)
            excess = self.values[cell, :n] - self.values[some, :n]
            count = 1 / (1 / n + 1 / self.problem.effective_samples)
            if count < 2:
                return np.inf
            error = excess.std(1, ddof=1) / np.sqrt(count)
            most = excess.mean(1) + _quantile(level, int(count) - 1) * error
            worst = max(worst, float(most.max()))
        return worst


@cache
def _quantile(risk: float, freedom: int) -> float:
    """Where the upper `risk` of Student's t of so many degrees of freedom begins."""
    return -float(stdtrit(freedom, risk))


def _rounds(samples: int, first: int, growth: float) -> list[int]:
    """Completions seen by the end of each round."""
    counts, count = [], min(first, samples)
    while count < samples:
        counts.append(count)
        count = round(growth * count)
    return [*counts, samples]


def interpolated(epe: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """float64 (cells,) without NaN: linear between the cells that are known, the nearest outside.

    The map is smooth: glimpses at neighbouring cells see nearly the same.
    """
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    known = np.isfinite(epe)
    if known.all():
        return epe
    at = np.stack(np.unravel_index(np.arange(len(epe)), shape), axis=1)
    filled = epe.copy()
    filled[~known] = NearestNDInterpolator(at[known], epe[known])(at[~known])
    rows, cols = (len(np.unique(at[known, axis])) for axis in (0, 1))
    if rows > 1 and cols > 1:
        between = LinearNDInterpolator(at[known], epe[known])(at[~known])
        inside = np.isfinite(between)
        filled[np.flatnonzero(~known)[inside]] = between[inside]
    return filled
