"""A folder of results: what is brought, passed over and cleared around an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.configs import difference
from nogs_bench.evaluation.jobs import Place, RunPlan
from nogs_bench.evaluation.packing import discard_finished
from nogs_bench.evaluation.pool import own_logs
from nogs_bench.evaluation.study import Study
from nogs_bench.files import parse_json, sweep, write_json
from nogs_bench.images import check_unused, stores_in, sweep_store
from nogs_bench.results import RunConfig, load_result
from nogs_bench.trained import weights_path

RUNS = "runs.json"


def bring(place: Place, runs: Sequence[RunPlan]) -> None:
    """Copy results and networks from the store, and what runs without a result start from."""
    out, mirror = Path(place.out), place.mirror
    for run in runs:
        result = out / f"{run.config.name}.json"
        if result.exists():
            continue
        if place.weights:  # before the result, which says that all is there
            mirror.pull(weights_path(result))
        if not mirror.pull(result) and run.pretrained is not None:
            weights = place.pretrained_file(run.pretrained)
            if not weights.exists():
                mirror.pull(weights)


def send(place: Place, runs: Iterable[RunPlan]) -> None:
    """Copy to the store what it lacks of what is there of runs: a call may have ended before."""
    if place.store is None:
        return
    out, held = Path(place.out), place.mirror.held(Path(place.out))
    for run in runs:
        result = out / f"{run.config.name}.json"
        files = [weights_path(result), result] if result.exists() else []
        if run.pretrained is not None:
            files.append(place.pretrained_file(run.pretrained))
        lacking = [path for path in files if path.exists() and path.name not in held]
        place.mirror.push(*lacking)
        held |= {path.name for path in lacking}


def clear_killed(place: Place) -> None:
    """Remove what a killed call left half written, unless another call is at work there."""
    if sweep_store(place.checkpoints):
        for log in place.checkpoints.glob("worker-*.log"):
            log.unlink()
        for folder in (Path(place.out), place.checkpoints, place.pretrained):
            sweep(folder.glob(".*"))


def remaining(studies: Sequence[Study], out: Path) -> list[Study]:
    """Without the runs whose results are there, which one line names."""
    there: list[RunConfig] = []
    left = []
    for study in studies:
        done = [_finished(out, run.config) for run in study.runs]
        there += [run.config for run, is_done in zip(study.runs, done, strict=True) if is_done]
        runs = tuple(run for run, is_done in zip(study.runs, done, strict=True) if not is_done)
        left.append(replace(study, runs=runs))
    if there:
        more = f" and {len(there) - 1} more runs" if len(there) > 1 else ""
        print(
            f"already there: {out / there[0].name}.json{more}; --again makes them anew",
            file=sys.stderr,
        )
    return left


def claim(place: Place, runs: Iterable[RunPlan]) -> None:
    """Note beside the images of `place` which results and pre-trained weights this call makes.

    Raises `NogsError` if another call is at work on one of them: both would train the same.
    """
    own, out = Path(place.images), Path(place.out)
    made = [out / f"{run.config.name}.json" for run in runs]
    first = {place.pretrained_file(run.pretrained) for run in runs if run.pretrained}
    made += [path for path in first if not path.exists()]
    wanted = sorted(path.relative_to(out).as_posix() for path in made)
    write_json(own / RUNS, wanted)  # before looking: of two calls one at least sees the other
    for store in stores_in(place.checkpoints):
        if store != own and (both := set(wanted) & _claimed(store)):
            busy = (
                f"{out / max(both)} is being trained by another call; wait for it, or "
                "choose another --out"
            )
            check_unused(store, busy)


def _claimed(store: Path) -> set[str]:
    try:
        return set(parse_json((store / RUNS).read_bytes()))
    except FileNotFoundError:  # it has just begun, or ended
        return set()


def tidy(place: Place) -> None:
    """Remove what only unfinished work needs."""
    if not place.checkpoints.is_dir():
        return
    for log in place.checkpoints.glob(f"{own_logs()}*.log"):
        log.unlink()
    discard_finished(place)
    if not any(place.checkpoints.iterdir()):  # it may hold checkpoints of other runs
        place.checkpoints.rmdir()


def _finished(out: Path, config: RunConfig) -> bool:
    """Whether the run's result is there. Raises `NogsError` if it is of other settings."""
    path = out / f"{config.name}.json"
    if not path.exists():
        return False
    result = load_result(path)
    if not result.same_run(config):
        where = difference(result.model_dump(), config.model_dump())
        raise NogsError(
            f"{path} was made with {where}; choose another --out, or --again to replace it"
        )
    return True
