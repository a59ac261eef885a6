"""How often intervals and verdicts are right: simulated seeds of known truth.

    python benchmarks/coverage.py [--draws 2000]

Times are lognormal (standard deviation of the logarithm .5) or normal (a third of the mean), with
a median of 1,000; they are seen through validations every so many iterations, and a share of runs
ends before it got there. Prints a Markdown table, for every interval that a user sees, of the share
of studies that show no wrong one, per cent, and of those that show one, if not all do; then one of
wrong verdicts; last one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable, Iterator

import numpy as np

from nogs_bench.results import Span, estimate, estimate_spans, prediction_interval, ratios
from nogs_bench.results.ranking import rank_ranges
from nogs_bench.results.statistics import LEVEL, MeasuredLevel, student

SEEDS, MISSED, PERIODS = (3, 5, 10), (0.0, 0.2, 0.5), (0, 50, 250)
SPREADS = (0.02, 0.05, 0.08)  # nats, of how good runs of RAM get: as on faces
MEDIAN, SIGMA, SHARE = 1000.0, 0.5, 1 / 3
Covered = tuple[float, float, float]
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return MEDIAN * np.exp(SIGMA * rng.normal(size=shape))


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.maximum(MEDIAN * (1 + SHARE * rng.normal(size=shape)), 1.0)


TRUTHS: dict[str, Draw] = {"lognormal": lognormal, "normal": normal}


def seen(time: float, period: int, length: float) -> Span:
    """What validations every `period` iterations (0: all the time) of a run say of a time."""
    if time > length:
        return Span(math.floor(length / period) * period if period else length, math.inf)
    if not period:
        return Span(time, time)
    last = math.ceil(time / period) * period
    return Span(last - period, last)


def coverage(found: Iterator[tuple[float, float, float] | None]) -> Covered:
    """From (low, truth, high), or None for no interval: the share of all that are not wrong, of
    those given that hold the truth, and of all that are given."""
    every = list(found)
    given = [each for each in every if each is not None]
    held = sum(low <= truth <= high for low, truth, high in given)
    right = 1 - (len(given) - held) / len(every)
    return right, (held / len(given) if given else math.nan), len(given) / len(every)


def times(draw: Draw, n: int, missed: float, period: int, draws: int, speed_up: bool) -> Covered:
    """Of the interval of a time, or of a speed-up over as many seeds of another method."""
    rng = np.random.default_rng(0)
    length = float(np.quantile(draw(rng, (200_000,)), 1 - missed)) if missed else math.inf
    many = draw(rng, (200_000,)) / draw(rng, (200_000,))
    truth = 2 * float(np.median(many)) if speed_up else MEDIAN
    own = draw(rng, (draws, n))
    slow = 2 * draw(rng, (draws, n))

    def one(number: int) -> tuple[float, float, float] | None:
        values = [seen(time, period, length) for time in own[number]]
        if speed_up:
            # RAM is slower, and has as many runs that end before they got there.
            values = ratios([seen(time, period, 2 * length) for time in slow[number]], values)
        made = estimate_spans(values, range(n))
        assert made is not None
        if made.interval is None:
            return None
        return made.interval.low, truth, made.interval.high

    return coverage(map(one, range(draws)))


# Curves after those of faces: cross-entropies fall from START towards a floor of each run's own,
# with half-lives whose logarithms have a standard deviation of HALVES.
START, TOLERANCE, EVERY, LENGTH = 0.69, 0.01, 200, 24_000
RAM, TAUGHT = (0.515, 6_000.0), (0.475, 3_200.0)  # mean floor, median half-life
HALVES, FLOORS = 0.25, 0.015  # FLOORS: standard deviation of those of the taught runs


def curves(
    rng: np.random.Generator, kind: tuple[float, float], spread: float, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Floors, which differ by `spread`, and half-lives of that many runs."""
    floor, half = kind
    return floor + spread * rng.normal(size=shape), half * np.exp(HALVES * rng.normal(size=shape))


def reaching(level: float | np.ndarray, floors: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """When curves are down at a level; infinity if never."""
    left = np.maximum((level - floors) / (START - floors), 0)
    with np.errstate(divide="ignore"):
        found: np.ndarray = -halves * np.log2(left)
    return found


def least(floors: np.ndarray, halves: np.ndarray) -> np.ndarray:
    found: np.ndarray = floors + (START - floors) * 2 ** (-LENGTH / halves)
    return found


def as_good(n: int, draws: int, spread: float) -> Covered:
    """Of the interval of a time to be as good as RAM ever gets. The level is the mean of RAM's n
    least cross-entropies, plus a tolerance; floors of RAM's runs differ by `spread`."""
    rng = np.random.default_rng(4)
    true_level = float(least(*curves(rng, RAM, spread, (200_000,))).mean()) + TOLERANCE
    truth = float(np.median(reaching(true_level, *curves(rng, TAUGHT, FLOORS, (200_000,)))))
    rams, taught = curves(rng, RAM, spread, (draws, n)), curves(rng, TAUGHT, FLOORS, (draws, n))

    def one(number: int) -> tuple[float, float, float] | None:
        ram, own = ([part[number] for part in each] for each in (rams, taught))
        best = least(*ram)
        level, error = float(best.mean()) + TOLERANCE, float(best.std(ddof=1)) / n**0.5
        wide = student(n - 1) / student(math.inf)
        values, lower, higher, lowest, highest = (
            [seen(time, EVERY, LENGTH) for time in reaching(level + side * error, *own)]
            for side in (0, -1, 1, -wide, wide)
        )
        measured = MeasuredLevel(n, (lower, higher), (lowest, highest))
        made = estimate_spans(values, range(n), level=measured)
        assert made is not None
        if made.interval is None:
            return None
        return made.interval.low, truth, made.interval.high

    return coverage(map(one, range(draws)))


def accuracies(skewed: bool, n: int, draws: int) -> Covered:
    """Of Student's interval of a mean of `n` numbers."""
    rng = np.random.default_rng(1)
    values = lognormal(rng, (draws, n)) if skewed else rng.normal(size=(draws, n))
    truth = MEDIAN * math.exp(SIGMA**2 / 2) if skewed else 0.0
    found = (estimate(own.tolist()) for own in values)
    return coverage(
        (e.low, truth, e.high) for e in found if e.low is not None and e.high is not None
    )


def told_apart(n: int, period: int, missed: float, boards: int) -> float:
    """Share of boards of four equal entries where any two are told apart."""
    rng = np.random.default_rng(2)
    length = float(np.quantile(lognormal(rng, (200_000,)), 1 - missed)) if missed else math.inf
    wrong = 0
    for board in lognormal(rng, (boards, 4, n)):
        found = rank_ranges([[seen(time, period, length) for time in own] for own in board])
        wrong += any(rank != (1, 4) for rank in found)
    return wrong / boards


def refused(n: int, period: int, draws: int) -> float:
    """Share of honest reruns whose three outcomes are not all where `verify` wants them."""
    rng = np.random.default_rng(3)
    wrong, level = 0, 1 - (1 - LEVEL) / 3
    for _ in range(draws):
        outcomes = [rng.normal(size=n + 1), rng.normal(size=n + 1), lognormal(rng, (n + 1,))]
        holds = True
        for number, values in enumerate(outcomes):
            spans = [seen(v, period, math.inf) if number == 2 else Span(v, v) for v in values]
            between = prediction_interval(spans[:-1], level)
            assert between is not None
            holds &= between.low <= spans[-1].high and spans[-1].low <= between.high
        wrong += not holds
    return wrong / draws


def cell(found: Covered) -> str:
    """Per cent of studies without a wrong interval; how many show one, if not all do."""
    right, _, given = found
    if not given:
        return "none shown"
    return f"{100 * right:.1f}" + ("" if given > 0.995 else f" ({100 * given:.0f} % shown)")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--draws", type=int, default=2000)
    draws = arguments.parse_args().draws
    report: dict[str, float | None] = {}
    print("| interval | truth | not reached | validated | 3 seeds | 5 | 10 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for skewed in (False, True):
        found = [accuracies(skewed, n, draws) for n in SEEDS]
        truth = "lognormal" if skewed else "normal"
        print(f"| mean, 95 % | {truth} | | | {' | '.join(map(cell, found))} |")
        report |= {f"mean {truth} {n}": each[0] for n, each in zip(SEEDS, found, strict=True)}
    for speed_up, name in itertools.product((False, True), TRUTHS):
        for missed, period in itertools.product(MISSED, PERIODS):
            found = [times(TRUTHS[name], n, missed, period, draws, speed_up) for n in SEEDS]
            what = "speed-up" if speed_up else "time"
            every = f"every {period}" if period else "always"
            cells = " | ".join(map(cell, found))
            print(f"| {what}, at least 95 % | {name} | {100 * missed:.0f} % | {every} | {cells} |")
            for n, (right, held, given) in zip(SEEDS, found, strict=True):
                key = f"{what} {name} {missed} {period} {n}"
                report |= {key: right, f"{key} shown": given}
                report[f"{key} of those shown"] = None if math.isnan(held) else held
    for spread in SPREADS:
        found = [as_good(n, draws, spread) for n in SEEDS]
        cells = " | ".join(map(cell, found))
        what = f"curves, RAM's best differ by {spread:.2f} nats"
        print(f"| time, as good as RAM | {what} | 0 % | every {EVERY} | {cells} |")
        report |= {f"as good {spread} {n}": e[0] for n, e in zip(SEEDS, found, strict=True)}
    print("\n| wrong verdicts, % | not reached | validated | 3 seeds | 5 | 10 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for missed, period in itertools.product(MISSED, PERIODS):
        shares = [told_apart(n, period, missed, draws // (2 if n < 10 else 16)) for n in SEEDS]
        every = f"every {period}" if period else "always"
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        what = "any of four equal entries told apart"
        print(f"| {what} | {100 * missed:.0f} % | {every} | {cells} |")
        report |= {f"told {missed} {period} {n}": s for n, s in zip(SEEDS, shares, strict=True)}
    for period in PERIODS:
        shares = [refused(n, period, draws) for n in SEEDS]
        every = f"every {period}" if period else "always"
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        print(f"| an honest rerun refused by `verify` | 0 % | {every} | {cells} |")
        report |= {f"refused {period} {n}": s for n, s in zip(SEEDS, shares, strict=True)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
