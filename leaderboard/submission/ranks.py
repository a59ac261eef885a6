"""Who moves where when results are added, changed or taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nogs_bench.figures import rank_text, rate_text
from nogs_bench.leaderboard.submission.folder import plain, score_lines
from nogs_bench.leaderboard.validation import load_valid
from nogs_bench.results import RunResult, ScoreRow, entry_key, score_runs

Key = tuple[str, str, str, str, float]
Rank = tuple[int, int] | None
MEASURED = {"curve", "test", "locations"}


@dataclass(frozen=True)
class Moves:
    """What differs between two sets of results; an entry is a task, protocol, method, model and
    learning rate.

    - `added`, `removed`: entries that only the later, or only the earlier, results have.
    - `rescored`: entries, as they are later, whose curves or test figures are others.
    - `redeclared`: entries of the same figures that say other things of how they came about.
    - `moved`: entries of both whose rank differs, as they are later, with the rank before.
      Ranks are (best, worst), None where a board has none.
    """

    added: tuple[ScoreRow, ...]
    removed: tuple[ScoreRow, ...]
    rescored: tuple[ScoreRow, ...]
    redeclared: tuple[ScoreRow, ...]
    moved: tuple[tuple[ScoreRow, Rank], ...]


def moves(before: str | Path, after: str | Path) -> Moves:
    """Compare the results in two folders, and below them.

    Raises `NogsError` with the first fault if a result may not stand on the leaderboard.
    """
    runs = [load_valid(each) for each in (before, after)]
    old, new = ({_key(row): row for row in score_runs(each).rows} for each in runs)
    measured, anew = (_by_entry(each, inside=True) for each in runs)
    said, says = (_by_entry(each, inside=False) for each in runs)
    both = [(old[key], new[key]) for key in new if key in old]
    return Moves(
        added=tuple(row for key, row in new.items() if key not in old),
        removed=tuple(row for key, row in old.items() if key not in new),
        rescored=tuple(
            row for key, row in new.items() if key in old and anew[key] != measured[key]
        ),
        redeclared=tuple(
            row
            for key, row in new.items()
            if key in old and anew[key] == measured[key] and says[key] != said[key]
        ),
        moved=tuple((now, was.rank) for was, now in both if was.rank != now.rank),
    )


def _key(row: ScoreRow) -> Key:
    return row.task, row.protocol, row.method, row.model, row.learning_rate


def _by_entry(runs: Sequence[RunResult], inside: bool) -> dict[Key, dict[int, object]]:
    """What was measured in each entry's runs, or all else, by seed."""
    found: dict[Key, dict[int, object]] = {}
    for run in runs:
        held = run.model_dump(include=MEASURED) if inside else run.model_dump(exclude=MEASURED)
        found.setdefault(entry_key(run), {})[run.seed] = held
    return found


def describe(found: Moves) -> str:
    """The moves as Markdown, for a comment in a pull request."""
    parts = [
        *_scores("New", found.added),
        *_scores("Scored anew: their results are changed", found.rescored),
        *_scores("Changed in what they declare", found.redeclared),
        *_scores("Gone: their results are taken away", found.removed),
        *_moved(found.moved),
    ]
    return "\n".join(parts or ["No entry is added, changed, taken away or moved.", ""])


def _scores(title: str, rows: Sequence[ScoreRow]) -> Iterator[str]:
    if rows:
        ranks = [rank_text(row.rank) or "not ranked" for row in rows]
        yield from (f"### {title}", "", *score_lines(rows, {"rank": ranks}), "")


def _moved(rows: Sequence[tuple[ScoreRow, Rank]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("### Ranks that move", "")
    yield "| task | protocol | method | model | rate | before | after |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row, was in rows:
        ranks = [rank_text(each) or "not ranked" for each in (was, row.rank)]
        named = [*_key(row)[:-1], rate_text(row.learning_rate)]
        yield f"| {' | '.join(plain(cell) for cell in [*named, *ranks])} |"
    yield ""
