"""The results that the repository holds: whole, by their tasks' protocols, and fit for the page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nogs_bench.leaderboard.page import build as build_page
from nogs_bench.leaderboard.validate import load_board, validate
from nogs_bench.methods import METHODS
from nogs_bench.result import load_results
from nogs_bench.task import get_task

RESULTS = Path(__file__).parents[1] / "leaderboard" / "results"


def test_the_study_is_whole() -> None:
    assert validate(RESULTS) == []
    runs = load_results(RESULTS)
    seeds = Counter((run.task, run.protocol, run.model.name, run.method) for run in runs)
    assert set(seeds.values()) == {5}
    for task in ("cluttered-digits", "fashion-mnist"):
        methods = {m for t, p, model, m in seeds if (t, p, model) == (task, "pretrained", "reference")}
        assert methods == set(METHODS.names())
