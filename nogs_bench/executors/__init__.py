"""Who does the work: an executor hands out items to processes of this machine or of a cluster.

In comes a list of plain items and a `Load`, which each worker calls once; out come the items'
outcomes, in the order of their end. `local` and `ray` register in `EXECUTORS`.
"""

from nogs_bench.executors import (  # noqa: F401  (they register)
    local,
    ray,
)
from nogs_bench.executors.executor import (
    EXECUTORS,
    Crew,
    Executor,
    open_executor,
    single_thread,
    tell,
)
from nogs_bench.executors.local import LocalExecutor
from nogs_bench.executors.scheduling import Done, Event, Failed, Lost, Ready, Schedule, Told
from nogs_bench.executors.where import Where

__all__ = [
    "EXECUTORS",
    "Crew",
    "Done",
    "Event",
    "Executor",
    "Failed",
    "LocalExecutor",
    "Lost",
    "Ready",
    "Schedule",
    "Told",
    "Where",
    "open_executor",
    "single_thread",
    "tell",
]
