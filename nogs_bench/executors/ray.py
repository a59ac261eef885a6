"""Shards on a Ray cluster (https://docs.ray.io): an actor a worker, which loads once.

Actors read and write the same paths as this process: the cluster's nodes share the folders.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.executors.executor import EXECUTORS, Crew, Load, Watch, telling
from nogs_bench.executors.scheduling import (
    Done,
    Event,
    Failed,
    Lost,
    Ready,
    Schedule,
    Told,
    reasoned,
)


@dataclass(frozen=True)
class RayExecutor:
    """Actors of the cluster that this process is connected to; implements `Executor`.

    - `resources`: of each actor, as `ray.remote` takes them.
    """

    workers: int
    resources: dict[str, float]

    def run(
        self, load: Load, items: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, Any]]:
        import ray

        handed = ray.put(load)
        options: dict[str, Any] = {**self.resources, "max_restarts": 0, "max_task_retries": 0}
        actor = ray.remote(**options)(_Actor)
        heard = watch is not None

        def hire(seat: int) -> _Handle:
            return _Handle(actor, handed, heard)

        yield from Schedule(hire, _wait, items, self.workers, watch).run()


@EXECUTORS.register("ray")
def _ray(crew: Crew) -> RayExecutor:
    """Connect to `crew.address`, `RAY_ADDRESS`, or a cluster of this machine that ends with us."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise NogsError("--executor ray needs Ray: pip install 'nogs-bench[ray]'") from error
    kind = "CPU" if crew.device == "cpu" else "GPU"
    if not ray.is_initialized():
        address = crew.address or os.environ.get("RAY_ADDRESS")
        # A cluster of one's own has as many places as workers are asked for.
        own: dict[str, Any] = {}
        if not address and crew.workers and kind == "CPU":
            own = {"num_cpus": crew.workers}
        try:
            ray.init(
                address, log_to_driver=False, configure_logging=False, **({} if address else own)
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise NogsError(
                f"no Ray cluster at {address} ({error}); start one with `ray start --head`, or "
                "leave --ray-address out"
            ) from error
    there = int(ray.cluster_resources().get(kind, 0))
    if not there:
        raise NogsError(f"the Ray cluster has no {kind}; give another --device or cluster")
    resources = {"num_cpus": 1.0} | ({"num_gpus": 1.0} if kind == "GPU" else {})
    return RayExecutor(crew.workers or there, resources)


class _Actor:
    """A worker. What fails comes back as a value: Ray would wrap it."""

    def __init__(self, folder: str, path: list[str]):
        with suppress(OSError):  # another machine may lack it; paths are then absolute
            os.chdir(folder)
        sys.path += [place for place in path if place not in sys.path]

    def start(self, load: Load) -> Event:
        try:
            self.do = load()
        except Exception as error:
            return Failed(reasoned(error, traceback.format_exc()))
        return Ready()

    def work(self, item: Any) -> Event:
        try:
            return Done(self.do(item))
        except Exception as error:
            return Failed(reasoned(error, traceback.format_exc()))

    def work_and_tell(self, item: Any) -> Iterator[Event]:
        """What the item tells, and in the end what it reported."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()

        def work() -> None:
            with telling(lambda done, note: events.put(Told(done, note))):
                events.put(self.work(item))

        threading.Thread(target=work).start()
        event = events.get()
        while isinstance(event, Told):
            yield event
            event = events.get()
        yield event


class _Handle:
    """An actor, and the answer that it owes; where it is `heard`, a stream of them."""

    def __init__(self, actor: Any, load: Any, heard: bool):
        self.heard = heard
        self.actor = actor.remote(os.getcwd(), sys.path)
        self.answer = self.actor.start.remote(load)

    def give(self, item: Any) -> None:
        if self.heard:
            telling_work = self.actor.work_and_tell.options(num_returns="streaming")
            self.answer = telling_work.remote(item)
        else:
            self.answer = self.actor.work.remote(item)

    def event(self) -> Event:
        import ray

        try:
            streamed = isinstance(self.answer, ray.ObjectRefGenerator)
            event: Event = ray.get(next(self.answer) if streamed else self.answer)
        except ray.exceptions.RayTaskError as error:
            return Failed(NogsError(f"a worker cannot do this work: {error.cause!r}"))
        except ray.exceptions.RayError as error:
            return Lost(f"{type(error).__name__}")
        return event

    def dismiss(self) -> None:
        import ray

        ray.kill(self.actor)


def _wait(workers: Sequence[_Handle], seconds: float) -> list[tuple[_Handle, Event]]:
    import ray

    by_answer = {worker.answer: worker for worker in workers}
    ready, _ = ray.wait(list(by_answer), num_returns=1, timeout=seconds)
    return [(by_answer[answer], by_answer[answer].event()) for answer in ready]
