"""The paper's own tasks: Table 1, line by line, then what the text says of figures 4 and 6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nogs_bench.figures import NOT_LEARNED, estimate_text, percent, span_text, times
from nogs_bench.leaderboard.comparison.lines import NOT_RUN, Comparison, of_spans, seeds
from nogs_bench.leaderboard.paper import TABLE_1, PaperFigure, paper_figures
from nogs_bench.results import ScoreRow, Scores, Span, estimate, estimate_spans
from nogs_bench.tasks import TASKS
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES, task_name


def paper_tasks(scores: Scores) -> Iterator[Comparison]:
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
        return of_spans(what, (where, method), paper, source, row.convergence, form)
    found = row.test_accuracy
    mean, text = 100 * found.mean, estimate_text(found, percent)
    over = seeds(len(row.seeds)) if len(row.seeds) > 1 else ""
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
        yield of_spans(figure.quantity, about, paper, figure.source, made, times)


def _of_model(figure: PaperFigure, model: str) -> str:
    return figure.data if model == "reference" else f"{figure.data}, {model}"
