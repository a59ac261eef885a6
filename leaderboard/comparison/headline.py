"""Our speed-ups and gains over the paper's baselines, beside those that it reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nogs_bench.figures import estimate_text, rate_text, span_text, times
from nogs_bench.leaderboard.comparison.lines import Comparison, of_spans, seeds
from nogs_bench.leaderboard.paper import PaperFigure, paper_figures
from nogs_bench.results import (
    BASELINE,
    ScoreRow,
    Scores,
    Span,
    SpanEstimate,
    estimate,
    estimate_spans,
    ratios,
)
from nogs_bench.tasks import TASKS


@dataclass(frozen=True)
class _Claim:
    """What the paper says of PS-NOGS against `baseline`: of the task's own data where it has it."""

    baseline: str
    speed_up: float
    gain: float
    source: str


def _claim(task: str) -> _Claim:
    """Of the task's own line in Table 1; for tasks that the paper has not, figure 5's."""
    reference = TASKS[task].reference
    own = reference.get("ps-nogs", {})
    for baseline in (BASELINE, "ram+"):
        other = reference.get(baseline, {})
        if {"iterations", "test_accuracy"} <= set(own) & set(other):
            source = str(reference["source"]).removeprefix("Harvey et al., arXiv:1906.05462, ")
            gain = own["test_accuracy"] - other["test_accuracy"]
            return _Claim(baseline, other["iterations"] / own["iterations"], gain, source)
    said = {figure.quantity: figure.value for figure in _figure_5()}
    speed_up, gain = said["convergence speed-up over ram"], said["test accuracy gain over ram"]
    return _Claim(BASELINE, float(speed_up or 0), float(gain or 0), "Figure 5, CelebA-HQ")


def _figure_5() -> list[PaperFigure]:
    return [figure for figure in paper_figures() if figure.source == "Figure 5"]


def headline(scores: Scores) -> Iterator[Comparison]:
    """PS-NOGS, fading or not, against the paper's own baseline: of every setting that has both."""

    def setting(row: ScoreRow) -> tuple[str, str, str]:
        return row.task, row.protocol, row.model

    for key, members in groupby(scores.rows, key=setting):
        rows, claim = list(members), _claim(key[0])
        every = [row for row in rows if row.method == claim.baseline]
        usual = [row for row in every if row.learning_rate == row.reference_rate]
        baseline = next(iter(usual or every), None)
        if baseline is None:
            continue
        for row in rows:
            if row.method.startswith("ps-nogs"):
                other = row.learning_rate != baseline.learning_rate
                rate = [f"at {rate_text(row.learning_rate)}"] if other else []
                yield from _against(row, baseline, claim, ", ".join([*key, *rate]))


def _against(row: ScoreRow, baseline: ScoreRow, claim: _Claim, where: str) -> Iterator[Comparison]:
    about = (where, row.method)
    over = f" over {claim.baseline}"
    paper, source = times(claim.speed_up), claim.source
    for what, found in (
        (f"speed-up{over}, the paper's criterion", _sooner(row.convergence, baseline.convergence)),
        (f"speed-up{over}, to the target", _sooner(row.time_to_target, baseline.time_to_target)),
    ):
        yield of_spans(what, about, paper, source, found, times)
    if claim.baseline == BASELINE:
        what = "speed-up to as good as ram ever gets"
        yield of_spans(what, about, paper, source, row.headline, times)
        literal = row.ratio_of_means.get("paper")
        if literal is not None and literal.known:
            what = f"speed-up{over}, the paper's criterion on runs of this length, of means"
            yield Comparison(what, *about, paper, source, span_text(literal, times), literal)
    gains = _paired(row, baseline)
    if gains:
        gain = estimate(gains)
        yield Comparison(
            what=f"test accuracy{over}, points",
            where=where,
            method=row.method,
            paper=f"{100 * claim.gain:+.1f}",
            source=source,
            text=estimate_text(gain, lambda value: f"{100 * value:+.1f}"),
            ours=Span(100 * gain.mean, 100 * gain.mean),
            over=seeds(len(gains)) if len(gains) > 1 else "",
        )
    yield _variance(row, baseline, about)


def _sooner(own: SpanEstimate, other: SpanEstimate) -> SpanEstimate | None:
    """Times of the baseline over those of the method, over the seeds that both have."""
    if own.unlearned or other.unlearned:
        return None
    theirs = dict(zip(other.seeds, other.values, strict=True))
    pairs = [(s, v, theirs[s]) for s, v in zip(own.seeds, own.values, strict=True) if s in theirs]
    found = ratios([ram for _, _, ram in pairs], [value for _, value, _ in pairs])
    return estimate_spans(found, [seed for seed, _, _ in pairs])


def _paired(row: ScoreRow, baseline: ScoreRow) -> list[float]:
    theirs = dict(zip(baseline.seeds, baseline.test_accuracy.values, strict=True))
    own = zip(row.seeds, row.test_accuracy.values, strict=True)
    return [value - theirs[seed] for seed, value in own if seed in theirs]


def _variance(row: ScoreRow, baseline: ScoreRow, about: tuple[str, str]) -> Comparison:
    """The paper's "less than a fifth of the variance in training speed"."""
    (said,) = [figure for figure in _figure_5() if figure.quantity.startswith("variance")]
    what, paper = "variance of convergence over seeds, share of ram's", f"< {said.value:g}"
    source = f"{said.source}, {said.data}"
    both = (*row.convergence.values, *baseline.convergence.values)
    if baseline.method != BASELINE:
        return Comparison(what, *about, "", source, "the paper says it of ram alone")
    if not all(value.reached for value in both) or len(row.seeds) < 2 or len(baseline.seeds) < 2:
        return Comparison(what, *about, paper, source, "not known: a run has not converged")
    own, other = (
        float(np.var([value.high for value in each.convergence.values], ddof=1))
        for each in (row, baseline)
    )
    if not other:
        return Comparison(what, *about, paper, source, "not known: ram's runs took the same time")
    share = own / other
    return Comparison(what, *about, paper, source, times(share), Span(share, share))
