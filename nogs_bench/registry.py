"""Names to objects: how tasks, methods, models, searches and criteria are extended."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from nogs_bench.errors import NogsError

T = TypeVar("T")

LISTED = 12


class Registry(Generic[T]):
    """A table of named objects, filled by the package, by entry points and by users.

    **Arguments**

    - `kind`: what an entry is, as errors call it ("task").
    - `group`: the entry-point group from which installed packages add entries; an entry point's
      object is either the entry itself or a function without arguments that returns it.
    """

    def __init__(self, kind: str, group: str | None = None):
        self.kind = kind
        self._group = group
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`. Raises `NogsError` if another object has that name."""
        if self._entries.setdefault(name, entry) != entry:
            raise NogsError(f"{self.kind} {name!r} is registered twice; give one another name")
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda entry: self.add(name, entry)

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._load_entry_points()
        return list(self._entries)

    def __getitem__(self, name: str) -> T:
        """The entry called `name`; `NogsError` names the near misses if there is none."""
        if name not in self._entries:
            self._load_entry_points()
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            names = list(self._entries)
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            known = ", ".join(names[:LISTED]) + more
            raise NogsError(f"unknown {self.kind} {name!r}: {hint}known are {known}")
        return self._entries[name]

    def __iter__(self) -> Iterator[T]:
        return iter([self._entries[name] for name in self.names()])

    def _load_entry_points(self) -> None:
        group, self._group = self._group, None
        for point in entry_points(group=group) if group else ():
            entry = point.load()
            self.add(point.name, entry() if callable(entry) else entry)


def load_object(spec: str, kind: str) -> Any:
    """The object that `FILE.py:NAME` names.

    The file runs with the user's rights: only a name that the user typed may come here, never one
    read from a dataset or a result. A file that has not changed is not run again, so the same
    `spec` gives the same object. Raises `NogsError` if the file or the name is missing.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise NogsError(f"no such {kind} file: {file or spec}; write it as FILE.py:NAME")
    content = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()
    module_name = f"nogs_bench_user_{path.stem}_{content[:16]}"
    module = sys.modules.get(module_name) or _run_file(path, module_name, kind)
    if not hasattr(module, name):
        raise NogsError(f"{path} defines no {name!r}; write the {kind} as FILE.py:NAME")
    return getattr(module, name)


def _run_file(path: Path, module_name: str, kind: str) -> ModuleType:
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    if module_spec is None or module_spec.loader is None:
        raise NogsError(f"{path} is not a Python file; write the {kind} as FILE.py:NAME")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise NogsError(f"{path} failed while it was loaded: {error!r}") from error
    return module
