"""Lines and bars of methods: what each is called, in which order and colour."""

from __future__ import annotations

from collections.abc import Iterable

from nogs_bench.figures.texts import rate_text
from nogs_bench.methods import place_of

COLOURS = ("#4c566a", "#e4002b", "#0072b2", "#e69f00", "#009e73", "#8a4fbf")

# A method and a learning rate: runs of different rates are different entries.
Line = tuple[str, float]


def line_names(lines: Iterable[Line]) -> dict[Line, str]:
    """Each line by its method, in the registry's order; and its rate, where there are several."""
    order = sorted(set(lines), key=lambda line: (place_of(line[0]), line[1]))
    found = [method for method, _ in order]
    return {
        (method, rate): method if found.count(method) == 1 else f"{method} at {rate_text(rate)}"
        for method, rate in order
    }


def colour_of(method: str) -> str:
    """The method's colour in every figure."""
    return COLOURS[place_of(method)[0] % len(COLOURS)]
