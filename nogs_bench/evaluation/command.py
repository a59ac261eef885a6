"""Train a model on tasks by some methods over some seeds, and score the runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from nogs_bench.device import choose_device, cores, gpus_of, in_turn
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.jobs import Job, Place
from nogs_bench.evaluation.logs import check_log
from nogs_bench.evaluation.packing import only_here, pack
from nogs_bench.evaluation.pool import do_all, do_all_by, shown_in
from nogs_bench.evaluation.study import (
    Study,
    Wanted,
    check_apart,
    in_place,
    study_of,
)
from nogs_bench.evaluation.upkeep import bring, claim, clear_killed, remaining, send, tidy
from nogs_bench.evaluation.work import nothing_kept, prepare
from nogs_bench.executors import Where
from nogs_bench.files import PROVENANCE, check_store
from nogs_bench.images import data_folder
from nogs_bench.methods import names_method
from nogs_bench.network import load_model, why_not
from nogs_bench.progress import progress_bars
from nogs_bench.results import Scores, load_result, score_runs
from nogs_bench.sequences import as_built
from nogs_bench.tasks import BY_NAME, COUNT, Task, merged_settings, settled, split_short, task_names

HERE, TASK = Where(), "cluttered-digits"
USED = ("device", "executor", "workers", "ray_address", "store", "deterministic")  # of `Where`


@in_turn("evaluate")
@nothing_kept()
def evaluate(
    model: str = "reference",
    task: str | Task = TASK,
    *,
    tasks: str | Sequence[str] | None = None,
    sequences: str | Path | None = None,
    methods: str | Sequence[str] = ("ram", "ps-nogs"),
    seeds: int | Sequence[int] = 3,
    protocol: str | None = None,
    out: str | Path = "results",
    data: str | Path | None = None,
    training: Mapping[str, Any] | None = None,
    keypoints: str | Path | None = None,
    maps: str | Path | None = None,
    together: int | None = None,
    weights: bool = True,
    log: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    again: bool = False,
    where: Where = HERE,
    **given: Any,
) -> Scores:
    """Train `model` on `task` once for each method and seed, and score these runs.

    Runs that differ only in seed, method or attribute are trained together, many at a time.

    Each run leaves one result file in `out`. A run is skipped if its result exists with the same
    configuration, which includes the images, the sequences and the model's source. A line on
    standard error says so. If a call was interrupted, the same call goes on where it stopped.

    **Arguments**

    - `model`: a registered name, or `FILE.py:NAME` of a class that is called with the task. If
      `FILE.py:NAME` is a `Method`, it is trained beside `methods`, with the reference network.
    - `task`: a registered name, `FILE.py:NAME`, a `Task`, or images as `task_of` takes them. For
      images, the numbers are those of the build of `sequences`, or `given` (`image_size=64`).
    - `tasks`: several tasks instead: names or patterns such as `celeba-hq-*`, or images,
      comma-separated or a list. What is `given` for images counts for all of them.
    - `sequences`: folder or Hub name of a dataset of sequences. None: those that come with the
      package, or else `nogs/TASK`. `{task}` in it stands for the task's name. A folder may also
      hold one dataset folder for each task. Sequences are read only if a method needs them.
    - `methods`: names of methods, or `FILE.py:NAME` of a `Method`. Each may be followed by any
      number of `:SETTING=NUMBER`.
    - `seeds`: how many seeds (from 0 on), or which ones.
    - `protocol`: name of one of the task's protocols. None: its first.
    - `data`: folder of the task's images, if they are not found without it.
    - `overrides`: settings to replace, of the task's `training` and of the protocol (`protocol`,
      `protocol.pretraining`), such as `{"training.learning_rate": 1e-3}`. Four have short forms
      that can be `given`: `iterations` (`protocol.iterations`, the length of a run); `supervised`
      (`training.supervised`, how many sequences supervise, lowest image numbers first; None: as
      many as the task says, or all if there are fewer); `embedder` (`training.embedder`); and
      `training={...}` for all that begin with `training.`.
    - `keypoints`: file of keypoints for `ps-hgs`, if the task has none or to replace them
      (`nogs_bench.tasks.handcrafted.read_keypoints`).
    - `maps`: folder or Hub name of the dataset whose EPE maps are used in equation 17. None: that
      of `sequences`.
    - `together`: how many runs a process trains at once, at most. None: as many as are worth it. 1:
      one by one. A model that cannot be stacked is trained one run at a time, and a line on
      standard error says why.
    - `log`: where to write each run's curve, its gradient norms and a few pictures while it trains:
      `"csv"` (`OUT/logs/`), `"tensorboard"`, `"trackio"` or `"wandb"`.
    - `weights`: whether to keep each run's network beside its result (`RUN.safetensors`), for
      `load_network`.
    - `where`: who trains, on which device, and in which store results and pre-trained weights are
      also kept. One worker trains in this process. The workers of a Ray cluster must all see the
      folder `out`, and the images where this process has them. Its fields can also be `given` as
      arguments (`workers=2`).
    - `again`: train again what has a result already, of whatever configuration. Each new result
      replaces the old one when it is done.

    Raises `NogsError` at bad input, before anything is trained.
    """
    if not isinstance(model, str):
        named = getattr(model, "__name__", type(model).__name__)
        raise NogsError(
            f"model {named}: give its file and name, as 'my_model.py:{named}', or its name in "
            "`nogs_bench.network.MODELS`"
        )
    choices = {name: given.pop(name) for name in BY_NAME if name in given}
    if tasks is not None and task != TASK:
        raise NogsError("give task or tasks, not both")
    named = [task] if tasks is None else task_names(tasks)
    names = [as_built(name, sequences, choices) for name in named]
    short, kept = split_short("evaluate", given)
    where = where.using("evaluate", USED, kept)
    changes = {f"training.{name}": value for name, value in (training or {}).items()}
    changes |= overrides or {}
    model, methods = _model_and_methods(model, methods)
    wanted = Wanted(
        model=model,
        methods=methods,
        seeds=seeds,
        protocol=protocol,
        settings=merged_settings("evaluate", changes, **short),
        sequences=sequences,
        maps=maps,
        keypoints=keypoints,
        data=data_folder(data),
    )
    place = Place(
        model=model,
        images="",
        out=str(Path(out).absolute()),
        device=choose_device(where.device),
        store=where.store,
        weights=weights,
        log=log,
        deterministic=where.deterministic,
    )
    if where.store is not None:
        check_store(where.store)
    if log is not None:
        check_log(log)
    images: dict[str, Any] = {}
    studies = [study_of(name, wanted, images) for name in names]
    check_apart(studies)
    crew = None if where.executor == "local" else where.open(place.device)
    if (Path(out) / PROVENANCE).is_file():
        raise NogsError(f"--out {out} is a dataset's folder; give results one of their own")
    planned = [run for study in studies for run in study.runs]
    bring(place, planned)
    if not again:
        studies = remaining(studies, Path(out))
        send(place, planned)
    todo = [study for study in studies if study.runs]
    clear_killed(place)
    alone = only_here(place, [run for study in todo for run in study.runs])
    processes = crew.workers if crew else _workers(where.workers, place.device, alone)
    if alone is not None and crew is not None:
        print(f"{alone} {ALONE}; if workers are other processes, {TO_SHARE}", file=sys.stderr)
    if todo:
        most = _together(together, model, todo)
        with _packed(todo, place, processes, most) as jobs, progress_bars() as bars:
            if crew is None:
                do_all(jobs, processes, place.checkpoints, shown_in(bars, jobs))
            else:
                do_all_by(crew, jobs, shown_in(bars, jobs))
    tidy(place)
    return score_runs([load_result(Path(out) / f"{run.config.name}.json") for run in planned])


def _model_and_methods(model: str, methods: str | Sequence[str]) -> tuple[str, str | Sequence[str]]:
    """The model's name, and the methods; `model` may name one."""
    if not names_method(model):
        return model, methods
    listed = methods.split(",") if isinstance(methods, str) else list(methods)
    return "reference", [*listed, model]


@contextmanager
def _packed(
    studies: Sequence[Study], place: Place, workers: int, most: int | None
) -> Iterator[list[Job]]:
    """The jobs of all runs, while what they read is there."""

    def family(study: Study) -> str:
        return study.task.family

    with ExitStack() as stack:
        jobs: list[Job] = []
        for _, members in groupby(sorted(studies, key=family), key=family):
            where, runs = stack.enter_context(in_place(list(members), place))
            claim(where, runs)
            prepare(where, runs[0])
            jobs += pack(runs, where, workers, most)
        yield jobs


def _together(together: int | None, model: str, studies: Sequence[Study]) -> int | None:
    """Most runs at once; 1, with a line that says why, if the model cannot be stacked."""
    if together is not None:
        together = settled("together", together, "int", COUNT)
    if together == 1:
        return 1
    source = load_model(model)
    for task in {study.task.family: study.task for study in studies}.values():
        reason = why_not(lambda seed, task=task: source.build(task, seed), task)  # type: ignore[misc]
        if reason is not None:
            print(f"{source.name} is trained one run at a time: {reason}", file=sys.stderr)
            return 1
    return together


ALONE = "is known to this process alone"
TO_SHARE = "put it into a file, and give FILE.py:NAME"


def _workers(workers: int | None, device: str, alone: str | None) -> int:
    """`alone`: what other processes would not find, if anything."""
    if workers is not None:
        workers = settled("workers", workers, "int", COUNT)
    if alone is not None and workers != 1:
        print(f"{alone} {ALONE}, so one worker trains; for more, {TO_SHARE}", file=sys.stderr)
        return 1
    return workers or (cores() if device == "cpu" else len(gpus_of(device)) or 1)
