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

from nogs_bench.device import gpus_of
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.jobs import Job
from nogs_bench.evaluation.work import do
from nogs_bench.executors import Deaths, Executor, single_thread, tell

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
    runs = sum(len(job.runs) for job in jobs if job.stage == "run")
    total = sum(job.steps * len(job.runs) for job in jobs)
    whole = bars.add_task(f"{runs} runs", total=total, note="", visible=len(jobs) > 1)

    def tell_bars(job: Job, at: int, note: str) -> None:
        line = lines[id(job)]
        bars.start_task(line)
        ended = at >= job.steps
        shown = len(jobs) <= FEW or not ended
        bars.update(line, completed=at, visible=shown, **({"note": note} if note else {}))
        done[id(job)] = at
        finished = sum(len(j.runs) for j in jobs if j.stage == "run" and done[id(j)] >= j.steps)
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
        _Pool(jobs, min(workers, len(jobs)), logs, watch).run()
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if jobs[0].place.device == "cpu" else threads)
    try:
        for job in sorted(jobs, key=lambda job: job.stage == "run"):
            do(job, lambda done, note, job=job: watch(job, done, note))  # type: ignore[misc]
    finally:
        torch.set_num_threads(threads)


def do_all_by(executor: Executor, jobs: Sequence[Job], watch: Watch) -> None:
    """Do all `jobs` with an executor's workers: all pre-training first, then all runs."""
    for stage in ("pretraining", "run"):
        some = [job for job in jobs if job.stage == stage]
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
    """A process that does one job at a time and says so on a queue, as (worker, message)."""

    def __init__(self, log: Path, own: dict[str, str], messages: queue.Queue[tuple[_Worker, Any]]):
        self.log, self.job = log, None  # type: Path, Job | None
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nogs_bench.evaluation.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env=os.environ | own,
            )
        self._messages = messages
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._messages.put((self, json.loads(line)))
        self._messages.put((self, {"event": "ended"}))

    def give(self, job: Job) -> None:
        assert self.process.stdin is not None
        self.job = job
        with suppress(BrokenPipeError):  # it died; the reader says so
            self.process.stdin.write(json.dumps(job.as_json()) + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
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


class _Pool:
    def __init__(self, jobs: Sequence[Job], workers: int, logs: Path, watch: Watch):
        self.waiting, self.watch = list(jobs), watch
        self.missing = {key for job in jobs if job.stage == "pretraining" for key in job.keys}
        self.messages: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
        logs.mkdir(parents=True, exist_ok=True)
        device = jobs[0].place.device
        gpus = gpus_of(device)

        def hire(number: int) -> _Worker:
            own = {"OMP_NUM_THREADS": "1"} if device == "cpu" else {}
            if gpus:
                own["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
            return _Worker(logs / f"{own_logs()}{number}.log", own, self.messages)

        self.deaths, self.best = Deaths(workers), dict.fromkeys(map(id, jobs), 0)
        self.hire = hire
        self.workers = [self.hire(number) for number in range(workers)]

    def run(self) -> None:
        try:
            self._hand_out()
            while any(worker.job for worker in self.workers):
                worker, message = self.messages.get()
                HANDLERS[message.pop("event")](self, worker, **message)
        finally:
            for worker in self.workers:
                worker.stop()

    def _hand_out(self) -> None:
        """Give every idle worker the first job that waits for nothing."""
        for worker in self.workers:
            ready = (
                job
                for job in self.waiting
                if job.stage == "pretraining"
                or not self.missing & {run.pretrained for run in job.runs}
            )
            job = None if worker.job else next(ready, None)
            if job is not None:
                self.waiting.remove(job)
                worker.give(job)

    def _progress(self, worker: _Worker, done: int, note: str) -> None:
        if worker.job is not None:
            self._further(worker.job, done)
            self.watch(worker.job, done, note)

    def _further(self, job: Job, done: int) -> None:
        if done > self.best[id(job)]:
            self.best[id(job)] = done
            self.deaths.further(id(job))

    def _done(self, worker: _Worker) -> None:
        job, worker.job = worker.job, None
        self.deaths.finish()
        if job is not None and job.stage == "pretraining":
            self.missing -= set(job.keys)
        self._hand_out()

    def _failed(self, worker: _Worker, message: str, log: bool = False) -> None:
        raise NogsError(f"{message}; the traceback is in {worker.log}" if log else message)

    def _ended(self, worker: _Worker) -> None:
        code, job = worker.process.wait(), worker.job
        what = f" while it did {job.label}" if job else ""
        if self.deaths.hopeless(job and id(job)):
            raise NogsError(
                f"workers died again and again, the last (exit code {code}){what}; see "
                f"{worker.log}; the same command resumes"
            )
        print(f"a worker died (exit code {code}){what}; it is done again", file=sys.stderr)
        worker.stop()
        place = self.workers.index(worker)
        self.workers[place] = self.hire(place)
        if job is not None:
            self.waiting.insert(0, job)
        self._hand_out()


HANDLERS: dict[str, Callable[..., None]] = {
    "progress": _Pool._progress,
    "done": _Pool._done,
    "failed": _Pool._failed,
    "ended": _Pool._ended,
}
