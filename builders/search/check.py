"""A user's own search and criterion are tried on made-up numbers, before hours of work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.search.epe import CRITERIA
from nogs_bench.builders.search.searches import SEARCHES, Ask, Found, Problem, Search
from nogs_bench.errors import NogsError, place_of
from nogs_bench.own_code import own_files
from nogs_bench.tasks import Task

LEAST_ASKS = 10_000  # after which a search may be taken to be endless


def check_own(task: Task) -> None:
    """Raise `NogsError` if a search or criterion of the user's, which `task` names, fails on its
    grid, or gives what is none."""
    settings = task.annotation
    search, criterion = SEARCHES[settings.search], CRITERIA[settings.criterion]
    if own_files(search):
        problems = (
            Problem(task.grid.shape, settings.samples),
            Problem(task.grid.shape, settings.samples, (0,), settings.samples / 2),
        )
        for problem in problems:
            what = f"search {settings.search}"
            _tried(what, partial(_run, what, search, problem))
    if own_files(criterion):
        log = torch.randn(2, 3, len(task.classes), generator=torch.Generator().manual_seed(0))
        labels = torch.arange(3) % len(task.classes)
        what = f"criterion {settings.criterion}"
        nats = _tried(what, partial(criterion, log.log_softmax(-1), labels))
        shape = getattr(nats, "shape", None)
        if not isinstance(nats, torch.Tensor) or shape != (2, 3):
            raise NogsError(f"{what} gives {_name(nats)}; nats must be a tensor (k, n)")
        if not bool((nats >= 0).all()):
            raise NogsError(f"{what} gives a number that is negative or NaN; nats are at least 0")


def _tried(what: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except NogsError:
        raise
    except Exception as error:
        raise NogsError(f"{what} failed when it was tried{place_of(error)}") from error


def _run(what: str, search: Search, problem: Problem) -> None:
    values = np.random.default_rng(0).random((problem.cells, problem.samples))
    steps: Any = search(problem)
    if not hasattr(steps, "send"):
        raise NogsError(f"{what} gives {_name(steps)}; it must be a generator that yields `Ask`s")
    answer = None
    most = max(LEAST_ASKS, 2 * problem.cells * problem.samples)
    for number in range(most):
        try:
            ask = steps.send(answer)
        except StopIteration as end:
            if not number:
                raise NogsError(f"{what} asks for nothing; yield at least one `Ask`") from None
            _check_found(what, end.value, problem)
            return
        if not isinstance(ask, Ask):
            raise NogsError(f"{what} yields {_name(ask)}; yield an `Ask`")
        _check_numbers(f"cells that {what} asks for", ask.cells, problem.cells)
        if len(np.unique(ask.cells)) < len(ask.cells):
            raise NogsError(f"{what} asks for a cell twice at once")
        _check_numbers(f"completions that {what} asks for", ask.completions, problem.samples)
        answer = values[np.ix_(ask.cells, ask.completions)]
    raise NogsError(f"{what} has not ended after {most:,} asks")


def _check_numbers(what: str, given: object, count: int) -> None:
    fits = isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind in "iu"
    if not fits:
        raise NogsError(f"{what} are {_name(given)}; give an integer array of one dimension")
    numbers = np.asarray(given)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < count:
        raise NogsError(f"{what} must be 0 .. {count - 1}")


def _check_found(what: str, found: object, problem: Problem) -> None:
    if not isinstance(found, Found):
        raise NogsError(f"{what} returns {_name(found)}; return a `Found`")
    if not isinstance(found.cell, int | np.integer) or not 0 <= found.cell < problem.cells:
        raise NogsError(
            f"{what} finds the cell {found.cell!r}; it must be 0 .. {problem.cells - 1}"
        )
    epe = np.asarray(found.epe)
    if epe.shape != (problem.cells,) or epe.dtype.kind != "f":
        raise NogsError(f"{what} gives an epe {epe.dtype} {epe.shape}; float ({problem.cells},)")
    if not np.isfinite(epe[found.cell]):
        raise NogsError(f"{what} knows no epe of the cell that it finds")


def _name(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" {tuple(shape)}" if shape is not None else "")
