"""Where work is done: what changes no figure, but who computes it, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.executors.determinism import Determined
from nogs_bench.executors.executor import Crew, Executor, open_executor


@dataclass(frozen=True)
class Where:
    """Where `build`, `evaluate` and `prepare` do their work, each with what it can use of this.

    - `device`: `"auto"` (the GPU if there is one), `"cpu"`, `"cuda"`, ...
    - `executor`: who does it: `"local"`, processes of this machine; `"ray"`, a Ray cluster's
      workers; or an `Executor`.
    - `workers`: how many; None one a core, or a GPU. Changes no byte, as `executor` does not.
    - `ray_address`: of the cluster; None `RAY_ADDRESS`, or one that the call starts.
    - `store`: a place such as `"s3://BUCKET/FOLDER"` where all that is finished is kept too; a call
      on another machine, with an empty folder, goes on from there.
    - `part`: `"NUMBER/COUNT"`: do every COUNT-th shard only, beside calls for the others in the
      same folder; a call without it, after them, finishes.
    - `deterministic`: let a GPU give the same bytes each time, slower (`docs/determinism.md`).
      Changes no byte on a CPU.
    - `threads`: that train the AVP. Sums are added in another order with another number, so it is
      part of what made the AVP; one makes the same bytes on any number of cores.
    """

    device: str = "auto"
    executor: str | Executor = "local"
    workers: int | None = None
    ray_address: str | None = None
    store: str | None = None
    part: str | None = None
    threads: int = 1
    deterministic: bool = False

    def using(self, command: str, used: Sequence[str], given: Mapping[str, Any]) -> Where:
        """This with `given` replaced, for a command that uses the fields `used` alone.

        Raises `TypeError` at a name that is none of them, and `NogsError` if another field is set.
        """
        for name in given:
            if name not in used:
                raise TypeError(f"{command}() got an unexpected keyword argument {name!r}")
        for field in fields(self):
            if field.name not in used and getattr(self, field.name) != field.default:
                raise NogsError(f"{command} has no use for {field.name}; it uses {', '.join(used)}")
        return replace(self, **given)

    def open(self, device: str) -> Executor:
        """The executor, whose workers compute on `device`. `NogsError` if it cannot be had."""
        executor = self.executor
        if isinstance(executor, str):
            executor = open_executor(executor, Crew(self.workers, device, self.ray_address))
        return Determined(executor) if self.deterministic else executor
