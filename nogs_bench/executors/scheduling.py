"""Handing out items to workers that may die, hang or dawdle."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from nogs_bench.errors import NogsError
from nogs_bench.executors.deaths import Deaths
from nogs_bench.executors.executor import Watch

POLL_SECONDS = 1.0
# An item is done twice if it takes this many times as long as the median, and so many seconds.
STRAGGLER, STRAGGLER_SECONDS = 4.0, 10.0


class Worker(Protocol):
    """One that does an item at a time; hashable."""

    def give(self, item: Any) -> None: ...

    def dismiss(self) -> None:
        """End it, whatever it is doing; also one that is dead."""
        ...


@dataclass(frozen=True)
class Ready:
    """The worker can be given its first item."""


@dataclass(frozen=True)
class Told:
    """How far the worker's item has come, and a few words or ""."""

    done: int
    note: str


@dataclass(frozen=True)
class Done:
    """What the worker's item reported."""

    report: Any


@dataclass(frozen=True)
class Failed:
    """What the worker's item, or getting ready, raised."""

    error: BaseException


@dataclass(frozen=True)
class Lost:
    """The worker died; `why` is a phrase."""

    why: str


Event = Ready | Told | Done | Failed | Lost
Wait = Callable[[Sequence[Any], float], list[tuple[Any, Event]]]
"""What happened to workers that are getting ready or at work, within so many seconds."""


def reasoned(error: BaseException, trace: str) -> BaseException:
    """An error as a worker sends it, with its own traceback as a note."""
    if not isinstance(error, NogsError):
        error.add_note(f"in a worker:\n{trace}")
    return error


@dataclass
class Schedule:
    """Items and the workers at them; `run` it once.

    - `hire`: makes a worker that will be `Ready`, for a seat 0 .. most - 1 that nobody has;
      `wait`: tells what happened.
    - `most`: workers at once. - `watch`: see `Executor.run`.
    - `ready`: whether the item at a place may be begun; another that has finished may make it so.
    - `twice`: whether an item that takes far longer than others is begun a second time.
    """

    hire: Callable[[int], Worker]
    wait: Wait
    items: Sequence[Any]
    most: int
    watch: Watch | None = None
    ready: Callable[[int], bool] = lambda place: True
    twice: bool = True
    at_work: dict[Worker, tuple[int, float]] = field(default_factory=dict)  # worker: (place, since)
    starting: set[Worker] = field(default_factory=set)
    idle: list[Worker] = field(default_factory=list)
    seats: dict[Worker, int] = field(default_factory=dict)

    def run(self) -> Iterator[tuple[int, Any]]:
        """See `Executor.run`."""
        self.waiting, self.unfinished = deque(range(len(self.items))), set(range(len(self.items)))
        self.deaths = Deaths(self.most)
        self.seconds: list[float] = []
        self.furthest: dict[int, int] = {}
        try:
            while self.unfinished:
                self._staff()
                self._hand_out()
                busy = [*self.starting, *self.at_work]
                for worker, event in self.wait(busy, POLL_SECONDS):
                    yield from self._take(worker, event)
        finally:
            everyone = list(self.seats)
            with ThreadPoolExecutor(len(everyone) or 1) as pool:
                list(pool.map(lambda worker: worker.dismiss(), everyone))

    def _staff(self) -> None:
        """Hire as many as there is work for; where workers die, as many again stand ready."""
        there = len(self.starting) + len(self.at_work) + len(self.idle)
        work = len(self.waiting) + len(self.at_work)
        wanted = min(self.most, 2 * work if self.deaths.died else work)
        for _ in range(wanted - there):
            seat = min(set(range(self.most)) - set(self.seats.values()))
            worker = self.hire(seat)
            self.seats[worker] = seat
            self.starting.add(worker)

    def _hand_out(self) -> None:
        while self.idle:
            place = next(filter(self.ready, self.waiting), None)
            if place is not None:
                self.waiting.remove(place)
            elif not self.waiting and self.twice:
                place = self._straggler()
            if place is None:
                return
            if place in self.unfinished:
                worker = self.idle.pop()
                self.at_work[worker] = (place, time.monotonic())
                worker.give(self.items[place])

    def _straggler(self) -> int | None:
        """An item that has taken too long, or whose last worker died, if one alone is at it."""
        limit, now = float("inf"), time.monotonic()
        if self.seconds:
            limit = max(STRAGGLER * statistics.median(self.seconds), STRAGGLER_SECONDS)
        times = Counter(place for place, _ in self.at_work.values())
        late = [
            (since, place)
            for place, since in self.at_work.values()
            if place in self.unfinished
            and times[place] == 1
            and (now - since > limit or self.deaths.in_a_row[place])
        ]
        return min(late)[1] if late else None

    def _take(self, worker: Worker, event: Event) -> Iterator[tuple[int, Any]]:
        if isinstance(event, Told):
            self._told(self.at_work[worker][0], event)
            return
        place, since = self.at_work.pop(worker, (None, 0.0))
        self.starting.discard(worker)
        if isinstance(event, Lost):
            self._lost(worker, place, event.why)
            return
        if isinstance(event, Failed):
            self.idle.append(worker)
            if place is None or place in self.unfinished:
                raise event.error
            return
        self.idle.append(worker)
        if isinstance(event, Done) and place in self.unfinished:
            self.unfinished.discard(place)
            self.deaths.finish()
            self.seconds.append(time.monotonic() - since)
            yield place, event.report

    def _told(self, place: int, event: Told) -> None:
        if event.done > self.furthest.get(place, 0):
            self.furthest[place] = event.done
            self.deaths.further(place)
        if self.watch is not None and place in self.unfinished:
            self.watch(place, event.done, event.note)

    def _lost(self, worker: Worker, place: int | None, why: str) -> None:
        worker.dismiss()
        del self.seats[worker]
        if self.deaths.hopeless(place):
            raise NogsError(
                f"workers died again and again ({why}; out of memory?); what is finished is kept: "
                "give the same command again, with fewer --workers if it repeats"
            )
        again = "" if place is None or place not in self.unfinished else "; its work is done again"
        print(f"a worker died ({why}){again}", file=sys.stderr)
        if again:
            self.waiting.appendleft(place)  # type: ignore[arg-type]
