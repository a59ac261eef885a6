"""An executor whose workers compute with deterministic algorithms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nogs_bench.device import determined
from nogs_bench.executors.executor import Do, Executor, Load, Watch


@dataclass(frozen=True)
class Determined:
    """Another executor, each of whose items is done while `determined`; implements `Executor`."""

    executor: Executor

    @property
    def workers(self) -> int:
        return self.executor.workers

    def run(
        self, load: Load, items: Sequence[Any], watch: Watch | None = None
    ) -> Iterator[tuple[int, Any]]:
        return self.executor.run(_Load(load), items, watch)


@dataclass(frozen=True)
class _Load:
    load: Load

    def __call__(self) -> Do:
        with determined():
            do = self.load()

        def doing(item: Any) -> Any:
            with determined():
                return do(item)

        return doing
