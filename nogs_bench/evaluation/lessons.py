"""Where a method's lessons come from, found before training and read by whoever trains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import nogs_bench
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.jobs import RunPlan
from nogs_bench.files import digest_json, read_provenance
from nogs_bench.methods import Method, find_method
from nogs_bench.sequences import Annotations, load_maps, own_sequences, posterior_folder
from nogs_bench.tasks import Task
from nogs_bench.training import NOTHING, Lessons


@dataclass(frozen=True)
class Places:
    """The dataset folders that hold a method's lessons, and the sha256 of each lesson."""

    posterior: str | None = None
    maps: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


def find_lessons(
    task: Task, method: Method, sequences: str | None, maps: str | None, rows: Annotations | None
) -> Places:
    """What `method` needs beside the sequences `rows`, of the dataset `sequences`.

    Raises `NogsError` if the dataset lacks it.
    """
    posterior, digests = None, {}
    own = sequences or (str(own_sequences(task)) if method.needs & {"posterior", "maps"} else None)
    if "posterior" in method.needs:
        assert own is not None
        posterior = str(posterior_folder(own).absolute())
        digests["posterior"] = _posterior_digest(posterior)
        asked = load_network(posterior, digests["posterior"], "cpu")
        if asked.classes != task.classes or asked.grid != task.grid:
            raise NogsError(f"the posterior of {own} is of other classes or another grid")
    if "maps" in method.needs:
        assert rows is not None
        maps = maps or own
        assert maps is not None
        maps = str(Path(maps).absolute()) if Path(maps).is_dir() else maps
        digests["maps"] = _digest(load_maps(task, maps, rows.index))
    if "sequence_posterior" in method.needs:
        if rows is None or rows.posterior is None:
            raise NogsError(
                f"{method.name} needs the column 'posterior', which the sequences of "
                f"{own or task.name} lack: they are of an older version; build them again"
            )
        digests["sequence_posterior"] = _digest(rows.posterior)
    return Places(posterior, maps, digests)


def lessons_of(run: RunPlan, task: Task, rows: Annotations | None, device: str) -> Lessons:
    """What the run's method needs of its dataset; the same object for runs that have the same."""
    method = find_method(run.method)
    if not method.needs & {"posterior", "maps", "sequence_posterior"}:
        return NOTHING
    count = 0 if rows is None else len(rows)
    info = run.config.method_info
    digests = tuple(sorted(info.lessons.items())) if info else ()
    asked = _Asked(run.posterior, run.maps, run.sequences, device, method.needs, count, digests)
    return _lessons(asked, task, rows)


@dataclass(frozen=True)
class _Asked:
    posterior: str | None
    maps: str | None
    sequences: str | None
    device: str
    needs: frozenset[str] | set[str]
    count: int
    digests: tuple[tuple[str, str], ...]  # of `Places`: a folder may hold another dataset since


_KEPT: dict[_Asked, Lessons] = {}


def _lessons(asked: _Asked, task: Task, rows: Annotations | None) -> Lessons:
    if asked not in _KEPT:
        posterior = maps = believed = None
        digests = dict(asked.digests)
        if "posterior" in asked.needs:
            assert asked.posterior is not None
            posterior = load_network(asked.posterior, digests["posterior"], asked.device)
        if "maps" in asked.needs:
            assert rows is not None
            maps = load_maps(task, asked.maps or "", rows.index)
            check_same(asked.maps or "", _digest(maps), digests["maps"])
        if "sequence_posterior" in asked.needs:
            assert rows is not None
            assert rows.posterior is not None
            # As many digits as float16 has: what rounds to 0 there is not impossible.
            shown = rows.posterior.clip(min=2.0**-14)
            believed = np.log(shown / shown.sum(-1, keepdims=True))
        _KEPT[asked] = Lessons(posterior, None if rows is None else rows.index, believed, maps)
    return _KEPT[asked]


@cache
def load_network(folder: str, digest: str, device: str) -> Any:
    """The dataset's posterior, of that digest; a process's jobs share it."""
    # By its public name: datasets with networks are the builders', which lie above this room.
    network = nogs_bench.load_posterior(folder, device)
    check_same(folder, _posterior_digest(folder), digest)
    return network


def forget_lessons() -> None:
    """Keep nothing that a job has read."""
    _KEPT.clear()
    load_network.cache_clear()


def check_same(
    what: str, found: str | None, expected: str | None, happened: str = "was built anew"
) -> None:
    """Raise `NogsError` if what a job reads is not what it was when runs were planned."""
    if found != expected:
        raise NogsError(f"{what} {happened} meanwhile; give the same command again")


def _posterior_digest(folder: str) -> str:
    record = read_provenance(Path(folder)).get("posterior") or {}
    return digest_json(record.get("files", {}))


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").tobytes()).hexdigest()
