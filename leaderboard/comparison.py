"""The paper's figure, ours and its interval, side by side; what was not run is said to be so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nogs_bench.figures import (
    NOT_LEARNED,
    estimate_text,
    percent,
    rate_text,
    span_text,
    spans_text,
    times,
)
from nogs_bench.leaderboard.paper import TABLE_1, PaperFigure, paper_figures
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
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES, task_name

NOT_RUN = "not run"


@dataclass(frozen=True)
class Comparison:
    """One line of the comparison.

    - `what`: the quantity; `where`: task, protocol and model of ours, and the learning rate where
      it is not RAM's; or the paper's data.
    - `paper`: its figure as text, "" where it has none for this.
    - `text`: ours, with its interval; why there is none.
    - `ours`: where it lies, None where nothing is known of it; `over`: what its interval is over,
      "5 seeds" or "40 tasks"; "" where it has none.
    """

    what: str
    where: str
    method: str
    paper: str
    source: str
    text: str = NOT_RUN
    ours: Span | None = None
    over: str = ""


def compare(scores: Scores) -> tuple[Comparison, ...]:
    """Our speed-ups and gains beside the paper's, then the paper's own tasks."""
    return (*_headline(scores), *_paper_tasks(scores))


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


def _headline(scores: Scores) -> Iterator[Comparison]:
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
        yield _of_spans(what, about, paper, source, found, times)
    if claim.baseline == BASELINE:
        what = "speed-up to as good as ram ever gets"
        yield _of_spans(what, about, paper, source, row.headline, times)
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
            over=_seeds(len(gains)),
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


def _of_spans(
    what: str,
    about: tuple[str, str],
    paper: str,
    source: str,
    found: SpanEstimate | None,
    form: Callable[[float], str],
) -> Comparison:
    if found is None:
        return Comparison(what, *about, paper, source, "not known")
    known = found.middle if found.middle.known else None
    over = _seeds(len(found.seeds)) if found.interval is not None else ""
    return Comparison(what, *about, paper, source, spans_text(found, form), known, over)


def _seeds(count: int) -> str:
    return f"{count} seeds"


def _paper_tasks(scores: Scores) -> Iterator[Comparison]:
    """Table 1, line by line, then what the text says of figures 4 and 6."""
    for figure in paper_figures():
        if figure.source.startswith(("Table 1", "appendix")):
            yield from _table_1_lines(figure, scores)
        elif figure.source == "Figure 6":
            yield from _figure_6_lines(figure, scores)
        elif figure.source != "Figure 5":
            paper = figure.quote or ""
            text = "see where networks look, on each board"
            about = (figure.quantity, figure.data, figure.method, paper, figure.source)
            yield Comparison(*about, text if _run(scores, _tasks(figure.data)) else NOT_RUN)


def _tasks(data: str) -> list[str]:
    """The names of the tasks that the paper calls `data`."""
    if data.startswith("CelebA-HQ"):
        return [task_name(attribute) for attribute in ATTRIBUTES]
    return [TABLE_1[data]]


def _run(scores: Scores, names: Sequence[str]) -> set[str]:
    return {row.task for row in scores.rows} & set(names)


def _table_1_lines(figure: PaperFigure, scores: Scores) -> Iterator[Comparison]:
    """One for each model that was run by the paper's protocol (`_by_the_book`)."""
    names = _tasks(figure.data)
    own = [
        row
        for row in scores.rows
        if row.task in names and row.method == figure.method and _by_the_book(row)
    ]
    share = "accuracy" in figure.quantity
    what = "test accuracy, %" if share else "iterations to convergence"
    assert figure.value is not None
    value = percent(figure.value) if share else f"{figure.value:,}"
    about = (figure.method, value, figure.source)
    models = sorted({row.model for row in own})
    if not models:
        run = _run(scores, names)
        text = f"{NOT_RUN} by the paper's protocol" if run else NOT_RUN
        yield Comparison(what, figure.data, *about, _of_tasks(text, 0, len(names)))
    for model in models:
        rows = [row for row in own if row.model == model]
        where = _of_model(figure, model)
        if len(rows) < len(names):
            yield Comparison(what, where, *about, _of_tasks(NOT_RUN, len(rows), len(names)))
        elif len(rows) == 1:
            yield _one_task(what, where, about, rows[0], share)
        else:
            yield _many_tasks(what, where, about, rows, share)


def _by_the_book(row: ScoreRow) -> bool:
    """Whether a row is of its task's first protocol, all its iterations, and its learning rate."""
    task = TASKS[row.task]
    plan = task.protocol()
    rate = (plan.training or task.training).learning_rate
    own = row.protocol, row.iterations, row.learning_rate
    return own == (plan.name, plan.iterations, rate)


def _of_tasks(text: str, count: int, of: int) -> str:
    return f"{text} ({count} of {of} tasks)" if of > 1 else text


def _one_task(
    what: str, where: str, about: tuple[str, str, str], row: ScoreRow, share: bool
) -> Comparison:
    method, paper, source = about
    if not share:
        form = "{:,.0f}".format
        return _of_spans(what, (where, method), paper, source, row.convergence, form)
    found = row.test_accuracy
    mean, text = 100 * found.mean, estimate_text(found, percent)
    over = _seeds(len(row.seeds))
    return Comparison(what, where, method, paper, source, text, Span(mean, mean), over)


def _many_tasks(
    what: str, where: str, about: tuple[str, str, str], rows: Sequence[ScoreRow], share: bool
) -> Comparison:
    """The mean of the tasks' means, and its interval over tasks, as the paper's is a mean of 40."""
    over = f"{len(rows)} tasks"
    if share:
        found = estimate([row.test_accuracy.mean for row in rows])
        text, mean = estimate_text(found, percent), 100 * found.mean
        return Comparison(what, where, *about, text, Span(mean, mean), over)
    if any(row.convergence.unlearned for row in rows):
        count = sum(bool(row.convergence.unlearned) for row in rows)
        text = f"not known: in {count} of {len(rows)} tasks a run has {NOT_LEARNED}"
        return Comparison(what, where, *about, text)
    low, high = ([getattr(row.convergence.middle, end) for row in rows] for end in ("low", "high"))
    ours = Span(float(np.mean(low)), float(np.mean(high)))
    return Comparison(what, where, *about, span_text(ours), ours)


def _figure_6_lines(figure: PaperFigure, scores: Scores) -> Iterator[Comparison]:
    """Epochs to 54 % on CUB, from the time to target of runs by the paper's protocol; one for each
    model."""
    paper = figure.quote or "" if figure.value is None else f"{figure.value:g}"
    rest = (figure.method, paper, figure.source)
    (name,) = _tasks(figure.data)
    rows = [r for r in scores.rows if r.task == name and r.method == figure.method]
    rows = [row for row in rows if _by_the_book(row)]
    if not rows or "54 %" not in figure.quantity:
        text = "not computed: see the curves" if rows else NOT_RUN
        yield Comparison(figure.quantity, figure.data, *rest, text)
        return
    epoch = TASKS[name].training.evaluation_period
    for row in rows:
        found = [Span(v.low / epoch, v.high / epoch) for v in row.time_to_target.values]
        about = (_of_model(figure, row.model), figure.method)
        made = estimate_spans(found, row.seeds)
        yield _of_spans(figure.quantity, about, paper, figure.source, made, times)


def _of_model(figure: PaperFigure, model: str) -> str:
    return figure.data if model == "reference" else f"{figure.data}, {model}"
