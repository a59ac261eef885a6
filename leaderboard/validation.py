"""Whether results may stand on the leaderboard: what its own check runs, and submitters before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson
from nogs_bench.leaderboard.checks import Fault, task_faults
from nogs_bench.leaderboard.joint_checks import SEEDS, joint_faults
from nogs_bench.results import (
    ENTRY_SUFFIX,
    MAX_BYTES,
    RunResult,
    Scores,
    entry_key,
    entry_name,
    faults,
    parse_result,
    result_files,
    score_runs,
    unpack_entry,
)


@dataclass(frozen=True)
class Report:
    """Results that may stand, by file, and why others may not.

    `runs`: those without a fault of their own; with a joint fault they are still here.
    """

    runs: dict[str, RunResult]
    faults: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        return not self.faults

    @property
    def entries(self) -> int:
        """Different tasks, protocols, methods, models and learning rates."""
        return len({entry_key(run) for run in self.runs.values()})


def validate(results: str | Path, seeds: int = SEEDS) -> Report:
    """Check every result in the folder `results` and below, and all of them together.

    `seeds`: how many an entry needs. Nothing in a file is run, imported or opened as a path.
    Raises `NogsError` if there is no such folder or no result in it.
    """
    folder = Path(results)
    files = _files(folder)
    if not files:
        raise NogsError(f"{folder} holds no result; give a folder of .json files")
    runs: dict[str, RunResult] = {}
    found: list[Fault] = []
    for path in files:
        for file, run, own in check_file(path, path.relative_to(folder).as_posix()):
            found += own
            if run is not None and not own:
                runs[file] = run
    return Report(runs, (*found, *joint_faults(runs, seeds)))


def load_board(results: str | Path) -> Scores:
    """Scores of all results in a folder and below, however many seeds an entry has.

    Raises `NogsError` with the first fault if one may not stand on the leaderboard.
    """
    return score_runs(load_valid(results))


def load_valid(results: str | Path) -> list[RunResult]:
    """The results that `load_board` scores. Raises `NogsError` as that does."""
    report = validate(results, seeds=1)
    if not report.valid:
        more = f" (and {len(report.faults) - 1} more faults)" if len(report.faults) > 1 else ""
        raise NogsError(f"{results}: {report.faults[0]}{more}")
    return list(report.runs.values())


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise NogsError(f"no results folder {folder}; give the folder of the result files")
    return result_files(folder, deep=True)


Checked = tuple[str, RunResult | None, list[Fault]]


def check_file(path: Path, file: str) -> list[Checked]:
    """Each run in `path`, a file of a run or of an entry, and what is wrong with it by itself.

    A run is called as the file, whose name is `file`; one of an entry, as that and its seed.
    """
    if path.is_symlink() or not path.is_file():
        message = "a link or no plain file; put the file itself here"
        return [(file, None, [Fault(file, "file", message)])]
    size = path.stat().st_size
    if size > MAX_BYTES:
        message = f"{size:,} bytes; no result has more than {MAX_BYTES:,}"
        return [(file, None, [Fault(file, "file", message)])]
    entry = path.name.endswith(ENTRY_SUFFIX)
    try:
        raw = path.read_bytes()
        runs = unpack_entry(raw) if entry else [parse_result(raw)]
    except ValidationError as error:
        wrong = [Fault(file, field or "file", message) for field, message in faults(error)]
        return [(file, None, wrong)]
    except MalformedJson as error:
        return [(file, None, [Fault(file, error.field or "file", error.message)])]
    found: list[Checked] = []
    for run in runs:
        name = f"{file}, seed {run.seed}" if entry else file
        own = task_faults(name, run)
        if not own:
            wanted = f"{entry_name(run)}{ENTRY_SUFFIX}" if entry else f"{run.name}.json"
            if path.name != wanted:
                own = [Fault(name, "file", f"must be called {wanted}, as the run in it")]
        found.append((name, run, own))
    return found
