"""Whether results may stand on the leaderboard: what its own check runs, and submitters before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.files import MalformedJson
from nogs_bench.leaderboard.checks import SEEDS, Fault, entry_key, joint_faults, task_faults
from nogs_bench.results import MAX_BYTES, RunResult, Scores, faults, parse_result, score_runs


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
    files = list(_files(folder))
    if not files:
        raise NogsError(f"{folder} holds no result; give a folder of .json files")
    runs: dict[str, RunResult] = {}
    found: list[Fault] = []
    for path in files:
        file = path.relative_to(folder).as_posix()
        run, own = check_file(path, file)
        found += own
        if run is not None and not own:
            runs[file] = run
    return Report(runs, (*found, *joint_faults(runs, seeds)))


def load_board(results: str | Path) -> Scores:
    """Scores of all results in a folder and below, however many seeds an entry has.

    Raises `NogsError` with the first fault if one may not stand on the leaderboard.
    """
    report = validate(results, seeds=1)
    if not report.valid:
        more = f" (and {len(report.faults) - 1} more faults)" if len(report.faults) > 1 else ""
        raise NogsError(f"{results}: {report.faults[0]}{more}")
    return score_runs(list(report.runs.values()))


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise NogsError(f"no results folder {folder}; give the folder of the result files")
    for path in sorted(folder.rglob("*.json")):
        # Hidden files are results that are being written.
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def check_file(path: Path, file: str) -> tuple[RunResult | None, list[Fault]]:
    """The result in `path`, called `file`, and what is wrong with it by itself."""
    if path.is_symlink() or not path.is_file():
        return None, [Fault(file, "file", "a link or no plain file; put the file itself here")]
    size = path.stat().st_size
    if size > MAX_BYTES:
        return None, [Fault(file, "file", f"{size:,} bytes; no result has more than {MAX_BYTES:,}")]
    try:
        run = parse_result(path.read_bytes())
    except ValidationError as error:
        return None, [Fault(file, field or "file", message) for field, message in faults(error)]
    except MalformedJson as error:
        return None, [Fault(file, error.field or "file", error.message)]
    found = task_faults(file, run)
    if path.name != f"{run.name}.json":
        found.append(Fault(file, "file", f"must be called {run.name}.json, as the run in it"))
    return run, found
