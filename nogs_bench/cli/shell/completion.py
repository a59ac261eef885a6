"""What the shell offers when a name is to be typed.

What registers tasks and methods takes seconds to import, and a press of the key may take a fraction
of one. So the names are read from `names.json`; a test holds it to the registries, and `write`
writes it. Those that installed packages add are their entry points' names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from nogs_bench.registry import Registry

FILE = Path(__file__).with_name("names.json")
Complete = Callable[[str], list[str]]


def one(kind: str) -> Complete:
    """Completes a name of a `kind`, such as "task"; a file's name is left to the shell."""
    return lambda incomplete: [name for name in _names(kind) if name.startswith(incomplete)]


def several(kind: str) -> Complete:
    """Completes the last of comma-separated names, to one that is not there yet."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        found = [name for name in _names(kind) if name.startswith(last) and name not in given]
        return [f"{before}{comma}{name}" for name in found]

    return complete


def _names(kind: str) -> list[str]:
    known = json.loads(FILE.read_text(encoding="utf-8"))[kind]
    return [*known["names"], *(point.name for point in entry_points(group=known["group"] or ""))]


def registered() -> dict[str, dict[str, object]]:
    """What `names.json` is to hold: of each kind the names, and the group of entry points."""
    from nogs_bench.builders.completion import COMPLETIONS
    from nogs_bench.builders.pipeline import POSTERIORS
    from nogs_bench.builders.search import CRITERIA, PRECISIONS, SEARCHES
    from nogs_bench.executors import EXECUTORS
    from nogs_bench.methods import METHODS
    from nogs_bench.network import MODELS
    from nogs_bench.tasks import TASKS

    def own(registry: Registry[Any]) -> list[str]:
        others = {point.name for point in entry_points(group=registry.group or "")}
        return [name for name in registry.names() if name not in others]

    registries: dict[str, Registry[Any]] = {
        "completion": COMPLETIONS,
        "criterion": CRITERIA,
        "executor": EXECUTORS,
        "method": METHODS,
        "model": MODELS,
        "posterior": POSTERIORS,
        "precision": PRECISIONS,
        "search": SEARCHES,
        "task": TASKS,
    }
    fixed = {
        "device": ["auto", "cpu", "cuda"],
        "protocol": sorted({plan.name for task in TASKS for plan in task.protocols}),
    }
    return {
        **{kind: {"names": own(r), "group": r.group} for kind, r in registries.items()},
        **{kind: {"names": names, "group": None} for kind, names in fixed.items()},
    }


def write() -> None:
    """Write `names.json` again, after something was registered or renamed."""
    FILE.write_text(json.dumps(registered(), indent=1) + "\n", encoding="utf-8")
