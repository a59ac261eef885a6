"""The diagnosis: facts and advice, and both as lines to paste into a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nogs_bench.diagnosis.advice import ADVICE, GIB, Advice
from nogs_bench.diagnosis.facts import Facts, gather


@dataclass(frozen=True)
class Diagnosis:
    """Facts, and advice on those that will hurt; `str` of it is the text to paste."""

    facts: Facts
    advice: tuple[Advice, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{name + ':':20} {value}" for name, value in _lines(self.facts)]
        found = [f"! {each.wrong}\n  {each.do}" for each in self.advice] or ["Nothing is amiss."]
        # Paths need not tell who pasted them.
        return "\n".join([*lines, "", *found]).replace(str(Path.home()), "~")


def doctor() -> Diagnosis:
    """Look at versions, devices, threads, folders, memory and the Hub; takes some seconds."""
    facts = gather()
    return Diagnosis(facts, tuple(found for check in ADVICE for found in check(facts)))


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "nogs-bench", facts.package
    yield "Python", facts.python
    yield "system", facts.system
    yield from ((name, found or "absent") for name, found in facts.versions.items())
    for extra, absent in facts.extras.items():
        yield f"extra {extra}", f"lacks {', '.join(absent)}" if absent else "there"
    yield "GPU", ", ".join(facts.devices) or "none that torch can use"
    yield "CUDA", f"torch for {facts.cuda or 'none'}; driver {facts.driver or 'none'}"
    yield "cores", str(facts.cores)
    said = "".join(f"; {name}={value}" for name, value in facts.settings.items())
    yield "torch's threads", f"{facts.threads}{said}"
    for pool in facts.pools:
        yield "pool", f"{pool.name} {pool.version}, {pool.threads} threads".replace(" ,", ",")
    yield "memory", f"{_size(facts.memory)}, {_size(facts.memory_free)} free"
    for folder in facts.folders:
        yield folder.what, f"{folder.path}, {_size(folder.free)} free"
    yield "Hub", facts.hub or "answers"


def _size(count: int | None) -> str:
    return "not known" if count is None else f"{count / GIB:.1f} GiB"
