"""Which tasks the names and patterns of a command stand for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from os import PathLike, fspath

from nogs_bench.errors import NogsError
from nogs_bench.tasks.own import is_source
from nogs_bench.tasks.task import TASKS


def task_names(tasks: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[str]:
    """Names and shell patterns of tasks, comma-separated or a list, to the names they stand for.

    In the order given, each once. Raises `NogsError` if nothing answers to a name or pattern.
    """
    found: dict[str, None] = {}
    if isinstance(tasks, PathLike):
        tasks = [tasks]
    for given in tasks.split(",") if isinstance(tasks, str) else tasks:
        if not isinstance(given, str | PathLike):
            raise NogsError(f"a task is named by a text here, not {getattr(given, 'name', given)}")
        pattern = fspath(given).strip()
        if not pattern:
            continue
        matching = [name for name in TASKS.names() if fnmatchcase(name, pattern)]
        shaped = any(sign in pattern for sign in "*?[") and not is_source(pattern)
        if not matching and shaped:
            raise NogsError(f"no task matches {pattern!r}; `nogs-bench tasks --json` lists all")
        found |= dict.fromkeys(matching or [pattern])
    if not found:
        raise NogsError("no task given; `nogs-bench tasks --json` lists all")
    return list(found)
