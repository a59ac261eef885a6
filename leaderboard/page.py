"""The leaderboard as one static, self-contained HTML file: no requests, no build step."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures import (
    NOT_LEARNED,
    duration,
    estimate_text,
    percent,
    points,
    rank_text,
    rate_text,
    span_text,
    spans_text,
    target,
    times,
    whole,
)
from nogs_bench.files import package_version, require_own, write_text
from nogs_bench.leaderboard.bars import family_bars
from nogs_bench.leaderboard.charts import Series, curves, profile_chart
from nogs_bench.leaderboard.checks import SEEDS
from nogs_bench.leaderboard.comparison import compare
from nogs_bench.leaderboard.places import GlimpseSequence, StepMap, gallery, location_maps
from nogs_bench.leaderboard.validation import validate
from nogs_bench.methods import METHODS
from nogs_bench.results import (
    BASELINE,
    Profile,
    RunResult,
    ScoreRow,
    Scores,
    Span,
    SpanEstimate,
    combined,
    entry_key,
    score_runs,
)
from nogs_bench.tasks import Task, get_task

DASH = "\N{EN DASH}"
STYLES = 8
GALLERY, MAPPED = 4, 8
PAGE, MARK = "index.html", "<title>nogs-bench leaderboard</title>"


@dataclass(frozen=True)
class Entry:
    """A row of a board, with its own part of the page.

    - `marks`: what the page's filters look at, as `data-` attributes.
    """

    number: int
    row: ScoreRow
    runs: tuple[RunResult, ...]
    style: int
    marks: dict[str, str]
    chart: str
    maps: tuple[StepMap, ...]

    @property
    def anchor(self) -> str:
        return f"entry-{self.number}"


@dataclass(frozen=True)
class Board:
    """One task under one protocol."""

    number: int
    task: Task
    protocol: str
    entries: tuple[Entry, ...]
    chart: str

    @property
    def anchor(self) -> str:
        return f"board-{self.number}"

    @property
    def usual(self) -> ScoreRow:
        """A row of the reference model, or of the first there is."""
        rows = [entry.row for entry in self.entries]
        return next((row for row in rows if row.model == "reference"), rows[0])

    @property
    def remarks(self) -> list[str]:
        """What of its runs is of older rules."""
        return list(dict.fromkeys(each for entry in self.entries for each in entry.row.remarks))

    @property
    def mapped(self) -> list[Entry]:
        """The entries whose location maps stand side by side."""
        return [entry for entry in self.entries if entry.maps][:MAPPED]


@dataclass(frozen=True)
class Overall:
    """One method with one model, over all boards.

    - `speed_up`: to as good as RAM ever gets, the geometric mean over the `compared` boards where
      anything is known of it; None where it is known of none. An end is known only if it is on
      each of these.
    """

    method: str
    model: str
    profile: Profile
    speed_up: Span | None
    compared: int
    boards: int
    style: int
    marks: dict[str, str]


def build(
    results: str | Path,
    out: str | Path,
    sequences: Sequence[str | Path] = (),
    data: str | Path | None = None,
    seeds: int = SEEDS,
    replace: bool = False,
) -> Path:
    """Write the page of all results in `results` and below to `out/index.html`; returns its path.

    **Arguments**

    - `sequences`: dataset folders whose first sequences are shown with their EPE maps.
    - `data`: folder of their tasks' images, where these are not found by themselves.
    - `seeds`: how many an entry needs.
    - `replace`: write it in the place of another page too.

    Raises `NogsError` with the first fault if a result may not stand on the leaderboard, and if
    `out` holds another page.
    """
    require_own(Path(out), {PAGE: MARK}, replace)
    report = validate(results, seeds)
    if not report.valid:
        raise NogsError(
            f"{results}: {report.faults[0]} ({len(report.faults)} faults); see "
            f"`nogs-bench leaderboard validate {results}`"
        )
    shown = [each for folder in sequences for each in gallery(Path(folder), GALLERY, data)]
    path = Path(out) / PAGE
    write_text(path, render(list(report.runs.values()), shown))
    return path


def render(runs: Sequence[RunResult], sequences: Sequence[GlimpseSequence] = ()) -> str:
    """The page's HTML. Every text from a result is escaped; nothing of it is markup."""
    import jinja2

    scores = score_runs(runs)
    boards = _boards(scores, runs)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nogs_bench.leaderboard", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates = environment.loader
    assert templates is not None
    script = templates.get_source(environment, "page.js")[0]
    overall = _overall(scores, boards)
    entries = [entry for board in boards for entry in board.entries]
    marked = {id(entry.row): (entry.style, entry.marks) for entry in entries}
    return environment.get_template("page.html").render(
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        boards=boards,
        families=family_bars(scores.rows, lambda row: marked[id(row)]),
        overall=overall,
        profile=_profile(overall),
        entries=entries,
        comparisons=compare(scores),
        gallery=sequences,
        methods=_methods(entries),
        models=sorted({entry.row.model for entry in entries}),
        teachings=sorted({entry.marks["taught"] for entry in entries}),
        costs=sorted({entry.runs[0].model.multiply_adds for entry in entries}),
        described={method.name: method.description for method in METHODS},
        version=package_version(),
        runs=len(runs),
        baseline=BASELINE,
        **_FORMATS,
    )


def _methods(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Methods in the registry's order, others after them by name; each with its style."""
    found = {entry.row.method for entry in entries}
    known = [name for name in METHODS.names() if name in found]
    return [(name, _style(name)) for name in [*known, *sorted(found - set(known))]]


def _style(method: str) -> int:
    names = METHODS.names()
    return names.index(method) % STYLES if method in names else STYLES - 1


def _boards(scores: Scores, runs: Sequence[RunResult]) -> list[Board]:
    def board_of(row: ScoreRow) -> tuple[str, str]:
        return row.task, row.protocol

    by_entry: dict[tuple[str, str, str, str, float], list[RunResult]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        by_entry.setdefault(entry_key(run), []).append(run)
    boards: list[Board] = []
    number = 0
    for (name, protocol), own in groupby(sorted(scores.rows, key=board_of), key=board_of):
        task = get_task(name)
        entries, lines = [], []
        for row in sorted(own, key=_order):
            members = by_entry[name, protocol, row.method, row.model, row.learning_rate]
            entry, line = _entry(number, row, members, task)
            entries.append(entry)
            lines.append(line)
            number += 1
        chart = curves(
            lines,
            entries[0].row.target_accuracy,
            f"Validation accuracy while training on {name}, {protocol}; "
            "the numbers are in the table.",
        )
        boards.append(Board(len(boards), task, protocol, tuple(entries), chart))
    return boards


def _order(row: ScoreRow) -> tuple[float, float]:
    return row.time_to_target.middle.low, -row.test_accuracy.mean


def _entry(number: int, row: ScoreRow, runs: list[RunResult], task: Task) -> tuple[Entry, Series]:
    marks = {
        "method": row.method,
        "model": row.model,
        "cost": str(runs[0].model.multiply_adds),
        "taught": _taught(runs[0]),
        "entry": str(number),
    }
    line = Series(
        name=f"{row.method}, {row.model}",
        style=_style(row.method),
        x=np.array([point.iteration for point in runs[0].curve]),
        values=np.array([[point.accuracy for point in run.curve] for run in runs]),
        marks=marks,
        dashed=row.model != "reference",
    )
    label = f"Validation accuracy of each seed of {row.method}, {row.model}, on {row.task}"
    chart = curves([line], row.target_accuracy, label, seeds=True)
    maps = tuple(location_maps(runs, task.grid))
    return Entry(number, row, tuple(runs), _style(row.method), marks, chart, maps), line


def _overall(scores: Scores, boards: Sequence[Board]) -> list[Overall]:
    """Methods and models, the greatest performance score first."""
    found = []
    for (method, model), profile in scores.profiles().items():
        rows = [row for row in scores.rows if (row.method, row.model) == (method, model)]
        sped = combined([row.headline.middle if row.headline else None for row in rows])
        own = [
            entry
            for board in boards
            for entry in board.entries
            if (entry.row.method, entry.row.model) == (method, model)
        ]
        cost = max(entry.runs[0].model.multiply_adds for entry in own)
        taught = own[0].marks["taught"]
        found.append(
            Overall(
                method=method,
                model=model,
                profile=profile,
                speed_up=sped and sped[0],
                compared=sped[1] if sped else 0,
                boards=len({(row.task, row.protocol) for row in rows}),
                style=_style(method),
                marks={"method": method, "model": model, "cost": str(cost), "taught": taught},
            )
        )
    return sorted(found, key=lambda each: (-each.profile.score, each.method, each.model))


def _profile(overall: Sequence[Overall]) -> str:
    return profile_chart(
        {f"{each.method}, {each.model}": (each.profile, each.style, each.marks) for each in overall}
    )


def _rank(row: ScoreRow) -> str:
    return rank_text(row.rank) or DASH


def _sortable(found: SpanEstimate | Span | None) -> float | str:
    """What a column of spans is sorted by; "" where nothing is known."""
    if isinstance(found, SpanEstimate):
        found = None if found.unlearned == len(found.values) else found.middle
    return found.low if found is not None and found.known else ""


def _short(number: float) -> str:
    """1,234,567 -> 1.23 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _taught(run: RunResult) -> str:
    if run.teaching is None:
        return "not recorded"
    return ", ".join(run.teaching) or "nothing more"


_FORMATS = {
    "rank": _rank,
    "duration": duration,
    "short": _short,
    "whole": whole,
    "percent": percent,
    "points": points,
    "times": times,
    "target": target,
    "rate": rate_text,
    "span": span_text,
    "spans": spans_text,
    "estimated": estimate_text,
    "sortable": _sortable,
    "taught": _taught,
    "not_learned": NOT_LEARNED,
}
