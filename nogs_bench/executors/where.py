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
    """Where `build`, `evaluate` and `prepare` do their work. Each uses the fields that it needs.

    - `device`: `"auto"` (the GPU if there is one), `"cpu"`, `"cuda"`, ...
    - `executor`: who does it: `"local"`, processes of this machine; `"ray"`, a Ray cluster's
      workers; or an `Executor`.
    - `workers`: how many; None: one for each core, or for each GPU. Neither this nor `executor`
      changes a byte of the outcome.
    - `ray_address`: address of the cluster; None: `RAY_ADDRESS`, or a cluster that the call starts.
    - `store`: a place such as `"s3://BUCKET/FOLDER"` where all that is finished is also kept. A
      call on another machine, with an empty folder, goes on from there.
    - `part`: `"NUMBER/COUNT"`: do only every COUNT-th shard. Other calls in the same folder do the
      others, and a call without `part` finishes after them.
    - `deterministic`: let a GPU give the same bytes each time, slower (`docs/determinism.md`).
      Changes no byte on a CPU.
    - `threads`: how many threads train the AVP. Another number adds sums in another order, so the
      number is part of what names the AVP. One thread gives the same bytes whatever
      the number of cores.
    """

    device: str = "auto"
    executor: str | Executor = "local"
    workers: int | None = None
    ray_address: str | None = None
    store: str | None = None
    part: str | None = None
    threads: int = 1
    deterministic: bool = False

    def __post_init__(self) -> None:
        if self.ray_address is not None and self.executor == "local":
            raise NogsError("--ray-address is of --executor ray; give both, or neither")

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
