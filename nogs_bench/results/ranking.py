"""Ranks that say when they mean nothing, and performance profiles over tasks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

from nogs_bench.results.statistics import Span

Entry = TypeVar("Entry", bound=Hashable)
Workload = TypeVar("Workload", bound=Hashable)

SIGNIFICANCE = 0.05
ENUMERATED, DRAWN = 200_000, 20_000
LONGEST = 10.0


def rank_sum_p(first: Sequence[Span], second: Sequence[Span]) -> float:
    """Two-sided p-value of the rank-sum test: do the times of two entries differ?

    Exact: the share of all ways to deal the pooled times into groups of these sizes whose rank sum
    is as far from its mean as the observed one. A time ranks after those that it is certainly
    greater than, and ties with those whose spans overlap its own: unreached ones tie at the end.
    From 200,000 ways on, 20,000 are drawn from a fixed seed.
    """
    n = len(first)
    ranks = _ranks([*first, *second])
    middle = n * ranks.mean()
    sums = ranks[_deals(len(ranks), n)].sum(-1)
    extreme = np.abs(sums - middle) >= abs(ranks[:n].sum() - middle) - 1e-9
    # A drawn p-value counts the observed deal too, so that it is never 0.
    drawn = len(sums) == DRAWN
    return float((extreme.sum() + drawn) / (len(sums) + drawn))


def _ranks(times: Sequence[Span]) -> np.ndarray:
    """How many others each time is certainly greater than, plus half of those it ties with."""
    low, high = (np.array([getattr(time, end) for time in times]) for end in ("low", "high"))
    greater = low[:, None] >= high[None, :]
    # A point is no less than itself, and not greater for that.
    equal = (low[:, None] == low[None, :]) & (high[:, None] == high[None, :])
    greater &= ~equal
    less = greater.T
    return greater.sum(1) + (~greater & ~less).sum(1) / 2


@cache
def _deals(total: int, n: int) -> np.ndarray:
    """int64 (deals, n): members of the first group."""
    if math.comb(total, n) < ENUMERATED:
        return np.array(list(itertools.combinations(range(total), n)))
    rng = np.random.default_rng(0)
    return rng.random((DRAWN, total)).argsort(-1)[:, :n]


def false_discovery_adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's (1995) adjusted p-values: min over j >= i of p_(j) m / j."""
    order = np.argsort(p_values)[::-1]
    m = len(order)
    scaled = np.asarray(p_values, dtype=np.float64)[order] * m / np.arange(m, 0, -1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1.0)) if m else scaled
    return [float(value) for value in adjusted]


def rank_ranges(times: Sequence[Sequence[Span]]) -> list[tuple[int, int]]:
    """Best and worst rank of each entry that its runs' times (one list an entry) allow.

    Every two entries are compared by `rank_sum_p`, and told apart where the p-value, adjusted for
    the false discovery rate over all pairs, is at most 0.05. The best rank is 1 + how many
    entries are told to be faster, the worst is the number of entries less those told to be slower.
    """
    pairs = list(itertools.combinations(range(len(times)), 2))
    p_values = false_discovery_adjusted([rank_sum_p(times[a], times[b]) for a, b in pairs])
    best, worst = [1] * len(times), [len(times)] * len(times)
    for (a, b), p in zip(pairs, p_values, strict=True):
        if p > SIGNIFICANCE:
            continue
        ranks = _ranks([*times[a], *times[b]])
        first = len(times[a])
        faster, slower = (a, b) if ranks[:first].mean() < ranks[first:].mean() else (b, a)
        best[slower] += 1
        worst[faster] -= 1
    return list(zip(best, worst, strict=True))


@dataclass(frozen=True)
class Profile:
    """An entry's performance profile: share of workloads with time at most `tau` times the best.

    - `ratios`: time / best time, one for each workload that the entry reached the target of,
      increasing; `workloads`: how many there are in all.
    - `score`: the area under the profile from tau = 1 to 10, from 0 to 1.
    """

    ratios: tuple[float, ...]
    workloads: int

    def share(self, tau: float) -> float:
        """rho(tau), 0..1."""
        return sum(ratio <= tau for ratio in self.ratios) / self.workloads

    @property
    def score(self) -> float:
        gained = sum(max(0.0, LONGEST - ratio) for ratio in self.ratios)
        return gained / (LONGEST - 1) / self.workloads


def performance_profiles(
    times: Mapping[Entry, Mapping[Workload, float]],
) -> dict[Entry, Profile]:
    """Profiles of entries from their times, `{entry: {workload: time}}` (Dolan and More 2002).

    An entry's time on a workload is positive; infinite, or left out, where it did not get there.
    A workload whose target no entry reaches counts for all.
    """
    workloads = list(dict.fromkeys(workload for own in times.values() for workload in own))
    best = {
        workload: min(own.get(workload, math.inf) for own in times.values())
        for workload in workloads
    }
    return {
        entry: Profile(
            ratios=tuple(
                sorted(own[w] / best[w] for w in workloads if own.get(w, math.inf) < math.inf)
            ),
            workloads=len(workloads),
        )
        for entry, own in times.items()
    }
