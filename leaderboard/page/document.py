"""The leaderboard as one static, self-contained HTML file: no requests, no build step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nogs_bench.errors import NogsError
from nogs_bench.figures import rendered
from nogs_bench.files import package_version, require_own, write_text
from nogs_bench.leaderboard.bars import family_bars
from nogs_bench.leaderboard.comparison import compare
from nogs_bench.leaderboard.joint_checks import SEEDS
from nogs_bench.leaderboard.page.boards import Entry, boards_of
from nogs_bench.leaderboard.page.formats import FORMATS
from nogs_bench.leaderboard.page.marks import style_of
from nogs_bench.leaderboard.page.overall import overall_of, profile_of
from nogs_bench.leaderboard.places import GlimpseSequence, gallery
from nogs_bench.leaderboard.validation import validate
from nogs_bench.methods import METHODS, place_of
from nogs_bench.results import BASELINE, RunResult, score_runs

GALLERY = 4
PAGE, MARK = "index.html", "<title>nogs-bench leaderboard</title>"


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
    scores = score_runs(runs)
    boards = boards_of(scores, runs)
    overall = overall_of(scores, boards)
    entries = [entry for board in boards for entry in board.entries]
    marked = {id(entry.row): (entry.style, entry.marks) for entry in entries}
    return rendered(
        "nogs_bench.leaderboard",
        "page",
        boards=boards,
        families=family_bars(scores.rows, lambda row: marked[id(row)]),
        overall=overall,
        profile=profile_of(overall),
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
        **FORMATS,
    )


def _methods(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Methods in the registry's order, others after them by name; each with its style."""
    found = {entry.row.method for entry in entries}
    return [(name, style_of(name)) for name in sorted(found, key=place_of)]
