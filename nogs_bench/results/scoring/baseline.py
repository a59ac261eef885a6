"""A method's runs beside RAM's, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nogs_bench.results.curves import Convergence, area_under_curve
from nogs_bench.results.reference import Reference
from nogs_bench.results.result import RunResult
from nogs_bench.results.scoring.times import Quantity, as_the_paper
from nogs_bench.results.statistics import (
    Span,
    SpanEstimate,
    estimate,
    estimate_spans,
    ratio_of_means,
    ratios,
)

BASELINE = "ram"


def over_baseline(
    runs: list[RunResult],
    baselines: list[list[RunResult]],
    reference: Reference | None,
    quantities: dict[str, Quantity],
) -> dict[str, Any]:
    """What is said in comparison with RAM, over the seeds that both have."""
    rate = runs[0].hyperparameters.learning_rate
    of_rate = [own for own in baselines if own[0].hyperparameters.learning_rate == rate]
    usual = reference.runs if reference else []
    if runs[0].method == BASELINE:
        usual, of_rate = [], []
    elif reference is not None and rate == reference.rate:
        of_rate = []
    counted = quantities | {"paper": lambda run: Convergence(as_the_paper(run), True)}
    pairs = _pairs(runs, usual)
    gains = [a.test.accuracy - b.test.accuracy for a, b in pairs]
    long = [(a, b) for a, b in pairs if a.curve[-1].iteration == b.curve[-1].iteration]
    areas = [area_under_curve(a.curve) - area_under_curve(b.curve) for a, b in long]
    return {
        "speed_ups": _speed_ups(runs, usual, quantities),
        "with_pretraining": _speed_ups(runs, usual, quantities, pretraining_of),
        "same_rate": _speed_ups(runs, of_rate[0] if of_rate else [], quantities),
        "ratio_of_means": {
            name: ratio_of_means(
                [_time(of(ram)) for _, ram in pairs], [_time(of(own)) for own, _ in pairs]
            )
            for name, of in counted.items()
            if pairs
        },
        "test_gain": estimate(gains) if gains else None,
        "area_gain": estimate(areas) if areas else None,
    }


def _pairs(
    runs: Sequence[RunResult], baseline: Sequence[RunResult]
) -> list[tuple[RunResult, RunResult]]:
    other = {run.seed: run for run in baseline}
    return [(run, other[run.seed]) for run in runs if run.seed in other]


def _speed_ups(
    runs: Sequence[RunResult],
    baseline: Sequence[RunResult],
    quantities: dict[str, Quantity],
    before: Callable[[RunResult], int] | None = None,
) -> dict[str, SpanEstimate]:
    """Baseline's time over the runs' own, by quantity; `before` is added to both."""
    pairs = _pairs(runs, baseline)
    if before is not None and not any(before(run) for run in runs):
        return {}
    found = {}
    for name, of in quantities.items():
        own, other = (
            [_time(of(pair[i])).plus(before(pair[i]) if before else 0) for pair in pairs]
            for i in (0, 1)
        )
        made = estimate_spans(ratios(other, own), [run.seed for run, _ in pairs])
        if made is not None:
            found[name] = made
    return found


def _time(found: Convergence) -> Span:
    """Nothing is known of the convergence of a run that learned nothing."""
    return found.time if found.learned else Span(0, math.inf)


def pretraining_of(run: RunResult) -> int:
    """Iterations of the stage before the run."""
    stage = run.hyperparameters.pretraining
    return 0 if stage is None else stage.iterations
