"""Methods over all boards of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nogs_bench.leaderboard.charts import profile_chart
from nogs_bench.leaderboard.page.boards import Board
from nogs_bench.leaderboard.page.marks import style_of
from nogs_bench.results import Profile, Scores, Span, combined


@dataclass(frozen=True)
class Overall:
    """One method with one model, over all boards.

    - `speed_up`: to as good as RAM ever gets, the geometric mean over the `compared` boards where
      anything is known of it; None where it is known of none. An end is known only if it is on
      each of these: where some are bounds from below and others from above, no end is.
    - `boards`: those that it was run on. Of several learning rates, each board has the one whose
      median seed comes first to the target.
    """

    method: str
    model: str
    profile: Profile
    speed_up: Span | None
    compared: int
    boards: int
    style: int
    marks: dict[str, str]


def overall_of(scores: Scores, boards: Sequence[Board]) -> list[Overall]:
    """Methods and models, the greatest performance score first."""
    found = []
    rows_of = scores.over_boards()
    for (method, model), profile in scores.profiles().items():
        rows = rows_of[method, model].values()
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
                boards=len(rows),
                style=style_of(method),
                marks={"method": method, "model": model, "cost": str(cost), "taught": taught},
            )
        )
    return sorted(found, key=lambda each: (-each.profile.score, each.method, each.model))


def profile_of(overall: Sequence[Overall]) -> str:
    return profile_chart(
        {f"{each.method}, {each.model}": (each.profile, each.style, each.marks) for each in overall}
    )
