"""What the paper reports: Table 1 as the tasks have it, and what its text says of figures 4 to 6.

Figures whose values only a plot shows are not here: nothing was read off by eye.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field, TypeAdapter

from nogs_bench.results import Strict
from nogs_bench.tasks import TASKS


class PaperFigure(Strict):
    """One thing that the paper says of its experiments.

    - `source`: where: "Table 1", "Figure 5".
    - `data`: of which of its data sets; `method` as this package calls it.
    - `value`: accuracies in 0..1, iterations or epochs; None where there is no number.
    - `quote`: the paper's words, where it is text.
    """

    source: Annotated[str, Field(min_length=1)]
    data: str
    method: str
    quantity: str
    value: float | int | None
    quote: str | None = None


# The tasks of the paper whose Table 1 stands in them, and how the paper calls their data.
TABLE_1 = {"CelebA-HQ, mean of 40": "celeba-hq-male", "CUB": "cub-200"}


@cache
def paper_figures() -> tuple[PaperFigure, ...]:
    """All that the paper reports: Table 1 first, then the figures in their order."""
    text = (files("nogs_bench.leaderboard") / "data" / "paper.json").read_text(encoding="utf-8")
    said = TypeAdapter(tuple[PaperFigure, ...]).validate_json(text)
    return (*_table_1(), *said)


def _table_1() -> list[PaperFigure]:
    """The tasks' own reference figures."""
    found = []
    for data, name in TABLE_1.items():
        reference = TASKS[name].reference
        for method, quantities in reference.items():
            if method == "source":
                continue
            for quantity, value in quantities.items():
                about = {"data": data, "method": method, "quantity": quantity.replace("_", " ")}
                source = str(reference["source"]).removeprefix("Harvey et al., arXiv:1906.05462, ")
                found.append(PaperFigure(source=source, value=value, **about))
    return found
