"""Names that the tables of the documentation give to rows."""

from __future__ import annotations

import runpy

import pytest

from nogs_bench.results import score_runs
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ
from places import ROOT
from results import run_result


def test_a_mean_over_a_part_of_the_tasks_says_of_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of 5 tasks stood beside one of 8 under "mean of 8 tasks"."""
    names = [task.name for task in CELEBA_HQ[:3]]
    runs = [run_result("ram", 0, task=name) for name in names]
    runs += [run_result("ps-nogs", 0, task=name) for name in names[:2]]
    monkeypatch.syspath_prepend(ROOT / "docs")
    entries = runpy.run_path(str(ROOT / "docs" / "results_tables.py"))["entries"]
    found = [name for name, _ in entries(score_runs(runs).rows)]
    assert found == ["`ram`", "`ps-nogs` (2 of 3 tasks)"]
