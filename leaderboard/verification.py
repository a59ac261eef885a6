"""Whether a claim holds: the run trained again, beside the interval of the entry it belongs to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nogs_bench.device import in_turn
from nogs_bench.errors import NogsError
from nogs_bench.evaluation import difference, model_info
from nogs_bench.figures import target
from nogs_bench.leaderboard.checks import task_faults
from nogs_bench.network import MODELS, load_model
from nogs_bench.results import (
    ENTRY_SUFFIX,
    LEVEL,
    RunResult,
    Span,
    area_under_curve,
    load_entry,
    load_result,
    prediction_interval,
    time_to_accuracy,
)
from nogs_bench.tasks import TASKS, Task, get_task


@dataclass(frozen=True)
class Check:
    """One quantity: what the file claims, what a run like it may have, what was found.

    `found` is None where nothing was run again.
    """

    quantity: str
    claimed: float
    low: float
    high: float
    found: float | None = None

    @property
    def holds(self) -> bool:
        """Whether what was found is within the interval."""
        return self.found is None or self.low <= self.found <= self.high


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    - `notes`: what kept the run from being repeated exactly, or its model from being rebuilt.
    - `rerun`: the new result, if there is one.
    """

    claim: RunResult
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    rerun: RunResult | None

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


@in_turn("verify")
def verify(
    file: str | Path,
    rerun: bool = False,
    model: str | None = None,
    task: str | Task | None = None,
    sequences: str | Path | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    keypoints: str | Path | None = None,
    maps: str | Path | None = None,
    seed: int | None = None,
    deterministic: bool = False,
) -> Verification:
    """Check the claim in a result file; with `rerun`, train again from its configuration.

    The model is rebuilt and its parameters and multiply-adds counted. A new run of the same seed is
    then compared with the prediction interval of the entry: the results beside `file` that differ
    from it in the seed alone (`prediction_interval`).

    **Arguments**

    - `model`: `FILE.py:NAME`, where the claim's model is none of the package's. A result never
      has a file run that only it names.
    - `task`, `sequences`, `data`, `device`, `keypoints`, `maps`, `deterministic`: as
      `nogs_bench.evaluate` takes them.
    - `seed`: which run, where the file is of an entry with all its seeds; None its first.
    - `out`: where the new run is kept, and found again if it was made before; not the claim's own
      folder. None: nowhere.

    Raises `NogsError` if the file is bad or contradicts its task, or the run cannot be made from
    what it says.
    """
    path = Path(file)
    known = None if task is None else get_task(task)
    if rerun and out is not None and Path(out).resolve() == path.parent.resolve():
        raise NogsError(f"--out {out}: the claim itself is there; give another folder")
    entry = load_entry(path)
    claim = next((run for run in entry if seed in (None, run.seed)), None)
    if claim is None:
        there = ", ".join(str(run.seed) for run in entry)
        raise NogsError(f"{path} has no seed {seed}; it has {there}")
    if known is not None and known.name != claim.task:
        raise NogsError(f"{path} is about the task {claim.task}, not {known.name}")
    if wrong := task_faults(path.name, claim):
        raise NogsError(
            f"{path} is not fit for the leaderboard: {wrong[0].field}: {wrong[0].message}"
        )
    spec = model or (claim.model.name if claim.model.name in MODELS.names() else None)
    checks: list[Check] = []
    notes: list[str] = []
    if spec is None:
        notes.append(f"model {claim.model.name} is not registered; give --model FILE.py:NAME")
    else:
        checks += _size_checks(claim, spec, notes)
    again = None
    if rerun:
        if spec is None:
            raise NogsError(f"{path}: {notes[0]}")
        looks = {"sequences": sequences, "keypoints": keypoints, "maps": maps}
        again = _run_again(claim, spec, task, looks, data, out, device, deterministic)
        if not again.same_run(claim):
            notes.append(f"not the same run: {difference(claim.model_dump(), again.model_dump())}")
    checks += outcome_checks(claim, _siblings(path, entry, claim), again)
    return Verification(claim, tuple(checks), tuple(notes), again)


def _size_checks(claim: RunResult, spec: str, notes: list[str]) -> list[Check]:
    task = TASKS[claim.task]
    info = model_info(spec, _tuned(task, claim))
    if info.source_digest != claim.model.source_digest:
        notes.append("the model's source is another than the claim's, by its digest")
    return [
        Check(name.replace("_", "-"), own, own, own, getattr(info, name))
        for name in ("parameters", "multiply_adds")
        for own in [getattr(claim.model, name)]
    ]


def _tuned(task: Task, claim: RunResult) -> Task:
    return replace(task, training=replace(task.training, **_training(claim)))


def _training(claim: RunResult) -> dict[str, Any]:
    """The claim's hyperparameters as fields of `Training`."""
    return claim.hyperparameters.model_dump(exclude={"iterations", "pretraining"})


def _pretraining(claim: RunResult) -> dict[str, Any]:
    """The claim's stage before the run, as settings of the protocol's."""
    stage = claim.hyperparameters.pretraining
    settings = {} if stage is None else stage.model_dump(exclude={"map_digest"})
    return {f"protocol.pretraining.{name}": value for name, value in settings.items()}


def _run_again(
    claim: RunResult,
    spec: str,
    task: str | Task | None,
    looks: dict[str, Any],
    data: str | Path | None,
    out: str | Path | None,
    device: str,
    deterministic: bool,
) -> RunResult:
    from nogs_bench.evaluation import evaluate

    model = claim.model.model_copy(update={"name": load_model(spec).name})
    name = claim.model_copy(update={"model": model}).name
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(out or temporary)
        evaluate(
            spec,
            task=task or claim.task,
            methods=(claim.method,),
            seeds=[claim.seed],
            protocol=claim.protocol,
            iterations=claim.hyperparameters.iterations,
            supervised=claim.dataset.supervised if claim.dataset else None,
            training=_training(claim),
            overrides=_pretraining(claim),
            data=data,
            out=folder,
            device=device,
            deterministic=deterministic,
            workers=1,
            **looks,
        )
        return load_result(folder / f"{name}.json")


def _siblings(path: Path, entry: list[RunResult], claim: RunResult) -> list[RunResult]:
    """The entry's runs: those in its file, or beside the claim's that differ in the seed alone."""
    if path.name.endswith(ENTRY_SUFFIX):
        return entry
    stem = claim.name.removesuffix(f"seed{claim.seed}")
    runs = [load_result(beside) for beside in sorted(path.parent.glob(f"{stem}seed*.json"))]
    return [run for run in runs if run.model_copy(update={"seed": claim.seed}).same_run(claim)]


def outcome_checks(
    claim: RunResult, entry: Sequence[RunResult], again: RunResult | None
) -> list[Check]:
    """Whether each outcome lies where a further run of the entry does.

    The intervals hold together in `LEVEL` of cases: each of m has the level 1 - (1 - LEVEL) / m
    (Bonferroni). Where a run of the entry never came to the target, nothing is known of when a
    further one does, and that is not checked.
    """
    task = TASKS[claim.task]
    goal = task.protocol(claim.protocol).target_accuracy
    quantities: dict[str, Callable[[RunResult], Span]] = {
        "test accuracy": lambda run: _point(run.test.accuracy),
        "area under the curve": lambda run: _point(area_under_curve(run.curve)),
        f"iterations to {target(goal)} %": lambda run: time_to_accuracy(
            run.curve, goal, task.judged_by
        ),
    }
    values = {name: [of(run) for run in entry] for name, of in quantities.items()}
    checked = [name for name, own in values.items() if all(each.reached for each in own)]
    level = 1 - (1 - LEVEL) / max(1, len(checked))
    found = []
    for name in checked:
        own = quantities[name](claim)
        between = prediction_interval(values[name], level) or own
        new = None if again is None else quantities[name](again)
        # Of a time that passes between two validations, the end that is nearer.
        low, high = min(between.low, own.low), max(between.high, own.high)
        nearest = None if new is None else min(max(new.low, low), new.high)
        found.append(Check(name, own.high, low, high, nearest))
    return found


def _point(value: float) -> Span:
    return Span(value, value)
