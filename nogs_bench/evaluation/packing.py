"""Which runs are trained together, and what of them has been done before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.evaluation.jobs import PRETRAINING, RUN, Job, Place, RunPlan, Stage
from nogs_bench.evaluation.logs import LOGS
from nogs_bench.files import digest_json, resumed
from nogs_bench.methods import METHODS, find_method, unchanged
from nogs_bench.network import EMBEDDERS, MODELS
from nogs_bench.registry import Registry
from nogs_bench.results import load_result
from nogs_bench.tasks import TASKS
from nogs_bench.training import GLIMPSES, saved_runs, worth_keeping

# Runs at once that are still faster than fewer at a time.
MOST = {"cpu": 16}
MOST_ELSEWHERE = 128


def pack(
    runs: Sequence[RunPlan], place: Place, workers: int, together: int | None = None
) -> list[Job]:
    """The jobs that make the results of `runs`: missing pre-trainings first, then trainings.

    **Arguments**

    - `workers`: runs are divided evenly among so many, where there are enough.
    - `together`: most runs in a job; None as many as pay on the device. With 1, models are not
      stacked.
    """
    most = together or MOST.get(place.device, MOST_ELSEWHERE)
    weights = {
        run.pretrained: run
        for run in runs
        if run.pretrained and resumed(place.pretrained_file(run.pretrained)) is None
    }
    return [
        job
        for stage, members in ((PRETRAINING, list(weights.values())), (RUN, list(runs)))
        for job in _stage(stage, members, place, workers, most)
    ]


def _stage(stage: Stage, runs: list[RunPlan], place: Place, workers: int, most: int) -> list[Job]:
    """Runs that stopped at the same point go on together, as they were; the rest is divided."""
    jobs, waiting = [], {Job(stage, (run,), place).keys[0]: run for run in runs}
    for path, _, keys in sorted(saved(stage, place), key=lambda row: -row[1]):
        held = [waiting.pop(key) for key in list(waiting) if key in keys]
        for alike in _alike(held, place.device):
            for members in _divide(alike, 1, most):
                jobs.append(Job(stage, members, place, str(path), most > 1))
    for alike in _alike(list(waiting.values()), place.device):
        settings = alike[0].config.hyperparameters
        frozen = stage is RUN and settings.pretraining is not None
        alone = frozen and worth_keeping(settings.embedder, place.device)
        limit = 1 if alone else most
        jobs += [
            Job(stage, members, place, None, limit > 1)
            for members in _divide(alike, workers, limit)
        ]
    return jobs


def saved(stage: Stage, place: Place) -> list[tuple[Path, int, list[str]]]:
    """The sound checkpoints of a stage: path, iteration, keys of the runs in it."""
    paths = sorted(stage.folder(place).glob(f"*{stage.end}"))
    read = [(path, saved_runs(path)) for path in paths]
    return [(path, *held) for path, held in read if held is not None]


def discard_finished(place: Place) -> None:
    """Delete checkpoints of which every run is done, as one is whose runs went on elsewhere."""
    for path, _, keys in saved(RUN, place):
        if all(_is_done(key, Path(place.out), path) for key in keys):
            path.unlink(missing_ok=True)
    for path, _, keys in saved(PRETRAINING, place):
        if all(place.pretrained_file(key).is_file() for key in keys):
            path.unlink(missing_ok=True)


def _is_done(key: str, out: Path, checkpoint: Path) -> bool:
    """Whether `out` has the result of the run that `key` names, and not of other settings, nor an
    older one than the checkpoint, of a run that is made again."""
    name, _, digest = key.rpartition("-")
    path = out / f"{name}.json"
    try:
        newer = path.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns
        return newer and load_result(path).config_digest == digest
    except FileNotFoundError:
        return False
    except NogsError:  # it is damaged, or a newer version's
        return False


def _alike(runs: Sequence[RunPlan], device: str) -> list[list[RunPlan]]:
    """Runs by what must be the same to train together: images, shapes, settings, length.

    On a CPU the learning rate too: there, a run is the same bytes in any company (docs/sweeps.md).
    """
    found: dict[str, list[RunPlan]] = {}
    for run in runs:
        task, config = TASKS[run.config.task], run.config
        settings = config.hyperparameters.model_dump(mode="json")
        stage = settings.pop("pretraining") or {}
        if device != "cpu":
            del settings["learning_rate"]
        first = {k: v for k, v in stage.items() if k not in ("glimpses", "map_digest")}
        shape = [task.family, task.T, list(task.grid.rows), list(task.grid.cols)]
        shape += [task.glimpse_size, task.image_size, task.channels, len(task.classes)]
        shape += [config.model.name, config.model.source_digest, find_method(run.method).passes]
        found.setdefault(digest_json([shape, settings, first]), []).append(run)
    return [_side_by_side(members) for members in found.values()]


def _side_by_side(runs: Sequence[RunPlan]) -> list[RunPlan]:
    """Runs whose loss one call computes next to each other, in the order of the first of each."""
    groups: list[list[RunPlan]] = []
    for run in runs:
        method = find_method(run.method)
        own = next((g for g in groups if find_method(g[0].method).alike(method)), None)
        if own is None:
            groups.append([run])
        else:
            own.append(run)
    return [run for group in groups for run in group]


def _divide(runs: Sequence[RunPlan], workers: int, most: int) -> list[tuple[RunPlan, ...]]:
    """Consecutive groups of nearly the same size, at most `most`, as many for each worker."""
    rounds = -(-len(runs) // (most * workers))
    groups = min(len(runs), rounds * workers)
    bounds = [len(runs) * number // groups for number in range(groups + 1)] if groups else []
    return [tuple(runs[a:b]) for a, b in pairwise(bounds)]


def only_here(place: Place, runs: Iterable[RunPlan]) -> str | None:
    """What worker processes would not find of what the runs name, in words: an entry that a script
    or a notebook registered; None if there is nothing."""
    for run in runs:
        settings, method = run.config.hyperparameters, unchanged(run.method)
        named: list[tuple[Registry[Any], str]] = [
            (TASKS, run.task),
            (METHODS, method),
            (MODELS, place.model),
            (LOGS, place.log or ""),
        ]
        # What a named file imports may register the rest.
        if not any(":" in spec for spec in (run.task, method, place.model)):
            named.append((EMBEDDERS, settings.embedder.partition(":")[0]))
            if settings.pretraining is not None:
                named.append((GLIMPSES, settings.pretraining.glimpses))
        for registry, name in named:
            if registry.only_here(name):
                return f"{registry.kind} {name!r}"
    return None
