"""What results must agree with beside each other, and how many an entry needs (RULES.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from nogs_bench.leaderboard.checks import Fault
from nogs_bench.results import UNRECORDED, RunResult, differing, entry_key

SEEDS = 5


def joint_faults(runs: Mapping[str, RunResult], seeds: int = SEEDS) -> list[Fault]:
    """Where results, by file, contradict each other, repeat each other, or are too few."""
    by_entry = _grouped(runs, entry_key)
    by_board = _grouped(runs, lambda run: (run.task, run.protocol))
    by_task = _grouped(runs, lambda run: run.task)
    by_model = _grouped(runs, lambda run: (run.task, run.protocol, run.model.name))
    by_rows = _grouped(
        {file: run for file, run in runs.items() if run.dataset},
        lambda run: (run.task, run.dataset.name, run.dataset.supervised),
    )
    found: list[Fault] = []
    for files in by_entry.values():
        found += _entry_faults(files, runs, seeds)
    for files in by_model.values():
        found += _differing(files, runs, "model")
    for files in by_board.values():
        found += _differing(files, runs, "task_version")
    for files in by_task.values():
        found += _differing(files, runs, "images")
    for files in by_rows.values():
        found += _differing(files, runs, "dataset")
    return found + _copies(runs)


def _grouped(runs: Mapping[str, RunResult], key: Any) -> dict[Any, list[str]]:
    groups = defaultdict(list)
    for file, run in runs.items():
        groups[key(run)].append(file)
    return groups


def _entry_faults(files: Sequence[str], runs: Mapping[str, RunResult], seeds: int) -> list[Fault]:
    found: list[Fault] = []
    first: dict[int, str] = {}
    for file in files:
        other = first.setdefault(runs[file].seed, file)
        if other != file:
            found.append(Fault(file, "seed", f"{runs[file].seed} is also that of {other}"))
    if len(first) < seeds:
        message = f"an entry needs at least {seeds} seeds, this has {len(first)}"
        found.append(Fault(files[0], "seed", message))
    left_out = next(seed for seed in range(len(first) + 1) if seed not in first)
    if left_out < max(first):
        message = f"{max(first)}, but {left_out} is left out: seeds are 0, 1, 2, ... (rule 4)"
        found.append(Fault(first[max(first)], "seed", message))
    for part in ("hyperparameters", "dataset", "build_cost", "teaching", "method_info"):
        found += _differing(files, runs, part)
    return found


def _differing(files: Sequence[str], runs: Mapping[str, RunResult], part: str) -> list[Fault]:
    """Files whose `part` is not that of the first."""
    found: list[Fault] = []
    if part in UNRECORDED:  # older formats do not say
        files = [file for file in files if getattr(runs[file], part) is not None]
    for file in files[1:]:
        own, reference = (getattr(runs[each], part) for each in (file, files[0]))
        if own == reference:
            continue
        field, _, _ = differing(part, own, reference)
        found.append(Fault(file, field, f"differs from {files[0]}, which it must equal"))
    return found


def _copies(runs: Mapping[str, RunResult]) -> list[Fault]:
    """Curves that are another run's to the last digit."""
    found: list[Fault] = []
    first: dict[object, str] = {}
    for file, run in runs.items():
        other = first.setdefault((run.task, run.protocol, run.curve[1:]), file)
        if other != file:
            found.append(Fault(file, "curve", f"is that of {other} to the last digit"))
    return found
