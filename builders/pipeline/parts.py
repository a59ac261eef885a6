"""One of several calls that share a build's shards, such as a task of a Slurm array."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from nogs_bench.errors import NogsError

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Every `count`-th shard, from `number` on, 0 .. count - 1."""

    number: int = 0
    count: int = 1

    def of(self, shards: Sequence[T]) -> Sequence[T]:
        return shards[self.number :: self.count]


def read_part(text: str) -> Part:
    """`"2/8"`, the third of eight. Raises `NogsError` at anything else."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise NogsError(f"--part {text}: give NUMBER/COUNT, from 0/COUNT to COUNT-1/COUNT")
    return Part(int(found[1]), int(found[2]))
