"""A user's own search and criterion are refused in one line before anything is built."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nogs_bench.builders.pipeline import build
from nogs_bench.builders.search.check import check_own
from nogs_bench.builders.search.epe import CRITERIA
from nogs_bench.builders.search.searches import SEARCHES, Ask, Found, Problem
from nogs_bench.errors import NogsError
from nogs_bench.sequences import load
from places import ROOT
from tiny import corner_task


def good(problem: Problem) -> Any:
    values = yield Ask(np.arange(problem.cells), np.arange(problem.samples))
    return Found(int(values.mean(1).argmin()), values.mean(1))


def forgets(problem: Problem) -> Any:
    yield Ask(np.arange(problem.cells), np.arange(problem.samples))


def lists(problem: Problem) -> Any:
    yield Ask([0], [0])  # type: ignore[arg-type]


def outside(problem: Problem) -> Any:
    yield Ask(np.array([problem.cells]), np.array([0]))


def twice(problem: Problem) -> Any:
    yield Ask(np.array([0, 0]), np.array([0]))


def silent(problem: Problem) -> Any:
    if problem.samples < 0:
        yield
    return Found(0, np.zeros(problem.cells))


def returns(problem: Problem) -> Any:
    return Found(0, np.zeros(problem.cells))


def endless(problem: Problem) -> Any:
    while True:
        yield Ask(np.array([0]), np.array([0]))


def halves(problem: Problem) -> Any:
    values = yield from good(problem)
    return Found(0.5, values.epe)  # type: ignore[arg-type]


def planes(problem: Problem) -> Any:
    found = yield from good(problem)
    return Found(found.cell, found.epe.reshape(problem.shape))


def unknown(problem: Problem) -> Any:
    found = yield from good(problem)
    return Found(found.cell, np.full(problem.cells, np.nan))


def fails(problem: Problem) -> Any:
    yield Ask(np.arange(problem.cells), np.arange(problem.samples))
    raise ValueError("my own bug")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (SEARCHES, CRITERIA):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (forgets, "search own returns NoneType; return a `Found`"),
        (lists, "cells that search own asks for are list; give an integer array"),
        (outside, r"cells that search own asks for must be 0 \.\. 8"),
        (twice, "search own asks for a cell twice at once"),
        (silent, "search own asks for nothing"),
        (returns, "search own gives Found; it must be a generator"),
        (endless, "search own has not ended after"),
        (halves, r"search own finds the cell 0\.5; it must be 0 \.\. 8"),
        (planes, r"search own gives an epe float64 \(3, 3\); float \(9,\)"),
        (unknown, "search own knows no epe of the cell that it finds"),
        (
            fails,
            r"search own failed .* ValueError\('my own bug'\) \(.*test_check\.py, line",
        ),
    ],
)
def test_a_search_that_is_none(search: Any, message: str) -> None:
    SEARCHES.add("own", search)
    task = corner_task()
    with pytest.raises(NogsError, match=message):
        check_own(replace(task, annotation=replace(task.annotation, search="own")))


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (lambda log, labels: log, r"gives Tensor \(2, 3, 4\); nats must be a tensor \(k, n\)"),
        (lambda log, labels: log.sum(-1), "negative or NaN"),
        (lambda log, labels: log.exp().sum(-1).log() * torch.nan, "negative or NaN"),
        (lambda log, labels: 1 / 0, r"ZeroDivisionError.*test_check\.py, line"),
    ],
)
def test_a_criterion_that_is_none(criterion: Any, message: str) -> None:
    CRITERIA.add("own", criterion)
    task = corner_task()
    with pytest.raises(NogsError, match=f"criterion own .*{message}"):
        check_own(replace(task, annotation=replace(task.annotation, criterion="own")))


def bootstrap(problem: Problem) -> Any:
    """One cell and a few completions at a time, some of them twice."""
    epe = np.full(problem.cells, np.inf)
    for cell in range(problem.cells):
        drawn = np.random.default_rng(cell).integers(problem.samples, size=problem.samples)
        for part in np.array_split(drawn, problem.samples):
            values = yield Ask(np.array([cell]), part)
            epe[cell] = values.mean()
    return Found(int(epe.argmin()), epe)


@pytest.mark.parametrize("search", [good, bootstrap])
def test_what_is_sound_passes(search: Any) -> None:
    SEARCHES.add("own", search)
    CRITERIA.add("own", lambda log, labels: torch.special.entr(log.exp()).sum(-1))
    task = corner_task()
    check_own(replace(task, annotation=replace(task.annotation, search="own", criterion="own")))


def test_the_documented_search_builds(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "searches.md").read_text(encoding="utf-8")
    text = re.search(r"```python\n(# mine\.py\n.*?)```", page, re.S)
    assert text is not None
    (tmp_path / "mine.py").write_text(text[1], encoding="utf-8")
    settings = {"posterior": "bank", "images": 2, "bank_images": 100, "workers": 1}
    folder = build(f"{tmp_path / 'mine.py'}:MINE", tmp_path / "built", **settings)
    maps = np.array(load(folder, "maps", split="train")["epe_map"])
    # From the second glimpse on; the first is chosen by a race over the bank.
    evaluated = np.isfinite(maps[:, 1:].reshape(2, -1, 64)).all((0, 1))
    assert evaluated.tolist() == [cell % 2 == 0 for cell in range(64)]
