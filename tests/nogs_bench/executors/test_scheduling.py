"""Which deaths of workers end the work: simulated workers, killed every few simulated seconds."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.executors import scheduling
from nogs_bench.executors.deaths import DOUBT, IN_VAIN, RATE, Deaths
from nogs_bench.executors.scheduling import Done, Lost, Ready, Schedule


@dataclass
class Machine:
    """Workers in simulated time, of which a random one is killed every `kill` seconds.

    - `start`, `work`: seconds that getting ready, and an item, take.
    - `poison`: items that kill their worker after half their time.
    """

    kill: float = math.inf
    start: float = 3.0
    work: float = 3.0
    poison: frozenset[int] = frozenset()
    now: float = 0.0
    deaths: int = 0
    begun: list[int] = field(default_factory=list)
    workers: list[Simulated] = field(default_factory=list)

    def __post_init__(self):
        self.chance, self.next_kill = random.Random(0), self.kill

    def hire(self, seat):
        assert seat not in {worker.seat for worker in self.workers}
        self.workers.append(Simulated(self, (self.now + self.start, Ready()), seat))
        return self.workers[-1]

    def wait(self, workers, seconds):
        """What comes first: an event, a kill, or the end of the time."""
        first = min(workers, key=lambda worker: worker.due[0], default=None)
        at = min(self.now + seconds, self.next_kill, first.due[0] if first else math.inf)
        self.now = at
        if first is not None and at == first.due[0]:
            event, first.due = first.due[1], (math.inf, None)
            self.deaths += isinstance(event, Lost)
            return [(first, event)]
        if at == self.next_kill:
            self.next_kill += self.kill * self.chance.uniform(0.5, 1.5)
            if self.workers:
                self.chance.choice(self.workers).due = (at, Lost("killed"))
        return []

    def run(self, items, workers=2, **options):
        return sorted(Schedule(self.hire, self.wait, range(items), workers, **options).run())


@dataclass(eq=False)
class Simulated:
    machine: Machine
    due: tuple[float, object]
    seat: int

    def give(self, item):
        machine = self.machine
        machine.begun.append(item)
        dies = item in machine.poison
        if not isinstance(self.due[1], Lost):
            seconds = machine.work / 2 if dies else machine.work
            self.due = (machine.now + seconds, Lost("crash") if dies else Done(item))

    def dismiss(self):
        self.machine.workers.remove(self)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Time is the machine's."""
    made = Machine()
    monkeypatch.setattr(scheduling.time, "monotonic", lambda: made.now)
    return made


@pytest.mark.parametrize(("start", "work", "least"), [(1, 3, 40), (4, 3, 80), (3, 10, 400)])
@pytest.mark.parametrize("seed", range(5))
def test_kills_from_outside_end_nothing(machine, start, work, least, seed, capsys):
    """About every 4 s one of two is killed: in the last case most of what is begun is lost."""
    machine.kill = machine.next_kill = 4.0
    machine.start, machine.work, machine.chance = start, work, random.Random(seed)
    assert machine.run(100) == [(n, n) for n in range(100)]
    assert machine.deaths > least


def test_many_workers_lost_at_once_end_nothing(machine, capsys):
    """A node of eight of sixteen workers, again and again."""
    machine.kill, machine.next_kill = math.inf, math.inf
    wait, lost = machine.wait, itertools.count(10, 10)
    at = [next(lost)]

    def wait_and_lose(workers, seconds):
        if machine.now >= at[0]:
            at[0] = next(lost)
            for worker in machine.workers[:8]:
                worker.due = (machine.now, Lost("node"))
        return wait(workers, seconds)

    machine.wait = wait_and_lose
    assert len(machine.run(200, workers=16)) == 200
    assert machine.deaths > 30


def test_an_item_waits_until_it_may_be_begun(machine):
    """Items 0 and 1 need 4; what may be begun goes first, in the order given."""
    done = set()
    schedule = Schedule(
        machine.hire, machine.wait, range(6), 2, ready=lambda place: place > 1 or 4 in done
    )
    for place, _ in schedule.run():
        done.add(place)
    assert machine.begun == [2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize("twice", [True, False])
def test_a_dawdler_is_begun_again_where_that_helps(machine, twice):
    own = Simulated.give

    def give(worker, item):
        own(worker, item)
        if machine.begun.count(0) == 1 and item == 0:
            worker.due = (machine.now + 1000, Done(0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulated, "give", give)
        machine.run(10, twice=twice)
    assert machine.begun.count(0) == 1 + twice
    assert (machine.now < 200) is twice


@pytest.mark.parametrize("bad", [0, 3, 19])
def test_an_item_that_kills_its_workers_is_found_out(machine, bad, capsys):
    """Soon: ten deaths in a row are not chance where one in four would be many."""
    machine.poison = frozenset({bad})
    with pytest.raises(NogsError, match=r"again and again \(crash"):
        machine.run(20)
    assert machine.deaths == math.ceil(math.log(DOUBT) / math.log(RATE)) == 10


def test_an_item_that_kills_its_workers_is_found_out_among_kills(machine, capsys):
    machine.kill = machine.next_kill = 10.0
    machine.poison = frozenset({50})
    with pytest.raises(NogsError, match=r"again and again \(crash"):
        machine.run(1000)
    assert machine.begun.count(50) < 20
    assert max(machine.begun) < 100


def test_items_that_all_kill_their_workers_end_the_work(machine, capsys):
    machine.poison = frozenset(range(20))
    with pytest.raises(NogsError, match="again and again"):
        machine.run(20)
    assert machine.deaths <= 2 * IN_VAIN


def test_workers_that_never_get_ready_end_the_work(machine, capsys):
    machine.kill, machine.next_kill, machine.start = 1.0, 1.0, 100.0
    with pytest.raises(NogsError, match="again and again"):
        machine.run(20)
    assert machine.begun == []


def test_what_comes_further_is_not_given_up():
    """As a training run from its checkpoint; one that comes no further is."""
    deaths = Deaths(1)
    for _ in range(1000):
        deaths.further("run")
        assert not deaths.hopeless("run")
    fatal = [deaths.hopeless("run") for _ in range(IN_VAIN)]
    assert 10 <= fatal.index(True) < IN_VAIN


def test_the_rate_of_dying_is_that_of_the_others():
    """Half of the attempts at others end well: twenty deaths in a row are one in a million."""
    deaths = Deaths(4, finished=1000, died=1000)
    assert [deaths.hopeless("x") for _ in range(20)] == [False] * 19 + [True]
    assert 0.5**20 < DOUBT < 0.5**19
