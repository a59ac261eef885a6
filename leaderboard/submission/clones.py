"""A submission in a clone of the repository, where the pull request comes from."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nogs_bench.errors import NogsError
from nogs_bench.leaderboard.validation import validate
from nogs_bench.results import (
    RunResult,
    entry_key,
    entry_path,
    load_entry,
    result_files,
    save_entries,
)

RESULTS = "leaderboard/results"


def check_clone(runs: Sequence[RunResult], clone: Path, seeds: int) -> None:
    """Raise `NogsError` if `runs` may not stand beside the results that the clone has."""
    board = clone / RESULTS
    if not (clone / ".git").exists() or not board.is_dir():
        raise NogsError(f"--clone {clone} is no clone of the repository with {RESULTS} in it")
    entries = {entry_key(run) for run in runs}
    there = [path for path in result_files(board, deep=True) if entries & set(_keys(path))]
    # A file's name may be another entry's, too.
    there += [path for path in (entry_path(run, board) for run in runs) if path.exists()]
    if there:
        raise NogsError(
            f"{there[0]} is there already; give the model another name, or withdraw "
            "that entry first (RULES.md)"
        )
    with TemporaryDirectory(prefix="nogs-bench-") as temporary:
        whole = Path(temporary, "results")
        shutil.copytree(board, whole)
        save_entries(runs, whole)
        faults = validate(whole, seeds).faults
    if faults:
        raise NogsError(f"not fit to stand beside {board}: {faults[0]}; RULES.md says more")


def _keys(path: Path) -> list[object]:
    return [entry_key(run) for run in load_entry(path)]


def add_to_clone(runs: Sequence[RunResult], clone: Path) -> None:
    """Save `runs` among the clone's results, one file an entry."""
    save_entries(runs, clone / RESULTS)


def git_lines(clone: Path, message: Path) -> list[str]:
    """What brings a submission in `clone` to a pull request, whose text is the file `message`."""
    at = f"git -C {shlex.quote(str(clone))}"
    return [
        f"{at} switch --create my-entry",
        f"{at} add {RESULTS}",
        f'{at} commit --message "Add an entry to the leaderboard"',
        f"{at} push --set-upstream origin my-entry",
        f"# then open a pull request with the text of {message}",
    ]
