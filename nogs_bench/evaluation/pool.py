"""Doing jobs in their order of dependence, in this process or in several."""

from __future__ import annotations

import json
import os
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from nogs_bench.device import gpus_of, on_threads
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.jobs import PRETRAINING, RUN, STAGES, Job
from nogs_bench.evaluation.work import do
from nogs_bench.executors import (
    Done,
    Event,
    Executor,
    Failed,
    Lost,
    Ready,
    Schedule,
    Told,
    single_thread,
    tell,
)

# (job, iterations done, a few words or "") -> None
Watch = Callable[[Job, int, str], None]
FEW = 8  # jobs whose bars stay when they are done


def shown_in(bars: Any, jobs: Sequence[Job]) -> Watch:
    """One bar for all runs, and one for each job that is at work; of few jobs, all stay."""
    lines = {
        id(job): bars.add_task(
            job.label, total=job.steps, start=False, note="waiting", visible=len(jobs) <= FEW
        )
        for job in jobs
    }
    done = dict.fromkeys(lines, 0)
    runs = sum(len(job.runs) for job in jobs if job.stage is RUN)
    total = sum(job.steps * len(job.runs) for job in jobs)
    whole = bars.add_task(f"{runs} runs", total=total, note="", visible=len(jobs) > 1)

    def tell_bars(job: Job, at: int, note: str) -> None:
        line = lines[id(job)]
        bars.start_task(line)
        ended = at >= job.steps
        shown = len(jobs) <= FEW or not ended
        bars.update(line, completed=at, visible=shown, **({"note": note} if note else {}))
        done[id(job)] = at
        finished = sum(len(j.runs) for j in jobs if j.stage is RUN and done[id(j)] >= j.steps)
        iterations = sum(done[id(j)] * len(j.runs) for j in jobs)
        bars.update(whole, completed=iterations, note=f"{finished} of {runs} runs done")

    return tell_bars


def do_all(jobs: Sequence[Job], workers: int, logs: Path, watch: Watch) -> None:
    """Do all `jobs`: a run's pre-training before the run, otherwise in the order given.

    With one worker they are done in this process. On the CPU, a process computes on one thread:
    the networks are small, and results do not depend on how many cores there are. What workers
    print goes to files in `logs`.
    A worker that dies is replaced, and its job done again from its checkpoint. Raises `NogsError`
    if a job fails, or its workers die again and again (`Deaths`); the others are then stopped.
    """
    if workers > 1:
        _in_processes(jobs, min(workers, len(jobs)), logs, watch)
        return
    with on_threads(1 if jobs[0].place.device == "cpu" else torch.get_num_threads()):
        for job in sorted(jobs, key=lambda job: job.stage is RUN):
            do(job, lambda done, note, job=job: watch(job, done, note))  # type: ignore[misc]


def do_all_by(executor: Executor, jobs: Sequence[Job], watch: Watch) -> None:
    """Do all `jobs` with an executor's workers: all pre-training first, then all runs."""
    for stage in STAGES.values():
        some = [job for job in jobs if job.stage is stage]
        items = [job.as_json() for job in some]

        def told(place: int, done: int, note: str, some: list[Job] = some) -> None:
            watch(some[place], done, note)

        for place, note in executor.run(_doing, items, told):
            watch(some[place], some[place].steps, note)


def _doing() -> Callable[[dict[str, Any]], str]:
    return _do_alone


def _do_alone(item: dict[str, Any]) -> str:
    """Do a job in an executor's worker; gives the last words of its report."""
    job, last = Job.from_json(item), ""
    single_thread(job.place.device)

    def report(done: int, note: str) -> None:
        nonlocal last
        last = note or last
        tell(done, note)

    do(job, report)
    return last


def own_logs() -> str:
    """How the names of the logs of this call's workers begin; others may be at work there too, on
    this machine or another."""
    return f"worker-{platform.node()}-{os.getpid()}-"


class _Worker:
    """A process that does one job at a time; what it says goes to a queue, as (worker, event)."""

    def __init__(self, log: Path, own: dict[str, str], events: queue.Queue[tuple[_Worker, Event]]):
        self.log, self.at = log, ""
        with log.open("a") as errors:  # after what the worker said that this one takes over from
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nogs_bench.evaluation.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env=os.environ | own,
            )
        self._events = events
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if message["event"] == "done":
                self.at = ""
            self._events.put((self, EVENTS[message.pop("event")](self, **message)))
        self._end()

    def _end(self) -> None:
        why = f"exit code {self.process.wait()}{self.at}; see {self.log}"
        self._events.put((self, Lost(why)))

    def give(self, job: Job) -> None:
        assert self.process.stdin is not None
        self.at = f" while it did {job.label}"
        if self.process.poll() is not None:
            self._end()
            return
        try:
            self.process.stdin.write(json.dumps(job.as_json()) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it died while nobody listened
            self._end()

    def dismiss(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a job it never read
                    pipe.close()

    def _failed(self, message: str, log: bool = False) -> Failed:
        return Failed(NogsError(f"{message}; the traceback is in {self.log}" if log else message))


EVENTS: dict[str, Callable[..., Event]] = {
    "ready": lambda worker: Ready(),
    "progress": lambda worker, done, note: Told(done, note),
    "done": lambda worker: Done(None),
    "failed": _Worker._failed,
}


def _in_processes(jobs: Sequence[Job], workers: int, logs: Path, watch: Watch) -> None:
    events: queue.Queue[tuple[_Worker, Event]] = queue.Queue()
    missing = {key for job in jobs if job.stage is PRETRAINING for key in job.keys}
    logs.mkdir(parents=True, exist_ok=True)
    device = jobs[0].place.device
    gpus = gpus_of(device)

    def hire(seat: int) -> _Worker:
        own = {"OMP_NUM_THREADS": "1"} if device == "cpu" else {}
        if gpus:
            own["CUDA_VISIBLE_DEVICES"] = gpus[seat % len(gpus)]
        return _Worker(logs / f"{own_logs()}{seat}.log", own, events)

    def wait(busy: Sequence[_Worker], seconds: float) -> list[tuple[_Worker, Event]]:
        try:
            worker, event = events.get(timeout=seconds)
        except queue.Empty:
            return []
        return [(worker, event)] if worker in busy else []

    def ready(place: int) -> bool:
        job = jobs[place]
        return job.stage is PRETRAINING or not missing & {run.pretrained for run in job.runs}

    def told(place: int, done: int, note: str) -> None:
        watch(jobs[place], done, note)

    schedule = Schedule(hire, wait, jobs, workers, told, ready=ready, twice=False)
    for place, _ in schedule.run():
        if jobs[place].stage is PRETRAINING:
            missing -= set(jobs[place].keys)
