"""What the page knows a method and a run by: its colour, and what its filters look at."""

from __future__ import annotations

from nogs_bench.methods import METHODS
from nogs_bench.results import RunResult

STYLES = 8


def style_of(method: str) -> int:
    names = METHODS.names()
    return names.index(method) % STYLES if method in names else STYLES - 1


def taught(run: RunResult) -> str:
    if run.teaching is None:
        return "not recorded"
    return ", ".join(run.teaching) or "nothing more"
