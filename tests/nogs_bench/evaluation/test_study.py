"""The results that the repository holds: whole, by their tasks' protocols, and fit for the page."""

from __future__ import annotations

from collections import Counter

from nogs_bench.leaderboard.validation import validate
from nogs_bench.results.entries import load_results
from places import ROOT

# What a study of the paper's methods has; others may stand beside.
STUDIED = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5", "ps-nogs-anneal")
RESULTS = ROOT / "leaderboard" / "results"


def test_the_study_is_whole() -> None:
    report = validate(RESULTS)
    assert report.faults == ()
    entries = Counter((r.task, r.protocol, r.model.name, r.method) for r in load_results(RESULTS))
    assert set(entries.values()) == {5}
    for task in ("cluttered-digits", "cluttered-fashion", "fashion-mnist"):
        methods = {each[3] for each in entries if each[:3] == (task, "pretrained", "reference")}
        assert methods >= set(STUDIED)
