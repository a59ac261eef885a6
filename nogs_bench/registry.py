"""Names to objects: how tasks, methods, models, searches and criteria are extended."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from nogs_bench.errors import NogsError, place_of

# Results record a digest of the reference network's file, which imports these from here.
from nogs_bench.own_code import load_object as load_object
from nogs_bench.own_code import running_file
from nogs_bench.own_code import source_digest as source_digest

T = TypeVar("T")

LISTED = 12


class _Loading:
    """How many entry points are being loaded, one by another."""

    depth = 0


class Registry(Generic[T]):
    """A table of named objects, filled by the package, by entry points and by users.

    **Arguments**

    - `kind`: what an entry is, as errors call it ("task").
    - `group`: the entry-point group from which installed packages add entries; an entry point's
      object is the entry itself or, where it can be called without arguments, returns it.
    """

    def __init__(self, kind: str, group: str | None = None):
        self.kind = kind
        self.group = group
        self._asked = False
        self._entries: dict[str, T] = {}
        self._passing: set[str] = set()
        self._sealed = False
        self._only_here: set[str] = set()
        self._files: dict[str, tuple[Path, ModuleType]] = {}  # the user's that registered a name

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`. Raises `NogsError` if another object has that name.

        A user's file that is run again, since it was changed, replaces what it had registered.
        """
        file, earlier = running_file(), self._files.get(name)
        again = file and earlier and file[0] == earlier[0] and file[1] is not earlier[1]
        if name in self._entries and self._entries[name] != entry and not again:
            raise NogsError(f"{self.kind} {name!r} is registered twice; give one another name")
        if file is not None:
            self._files[name] = file
        if file is not None or _Loading.depth:  # other processes come by it in the same way
            self._only_here.discard(name)
        elif self._sealed and name not in self._entries:
            self._only_here.add(name)
        self._entries[name] = entry
        self._passing.discard(name)
        return entry

    def seal(self) -> None:
        """Say that the package has registered all of its own."""
        self._sealed = True

    def only_here(self, name: str) -> bool:
        """Whether other processes lack the entry, since a script or a notebook registered it: it
        is neither the package's, nor an installed one's, nor in a file that names it."""
        return name in self._only_here or name in self._passing

    def renew(self, name: str, entry: T) -> T:
        """Register `entry`, in the place of an earlier one that came this way.

        Raises `NogsError` if `add` has registered another object under that name.
        """
        if name not in self.names():
            self._passing.add(name)
        if name not in self._passing:
            return self.add(name, entry)
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda entry: self.add(name, entry)

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._load_entry_points()
        return list(self._entries)

    def lasting(self) -> dict[str, T]:
        """The entries that stay what they are: those that `add` registered."""
        return {name: self._entries[name] for name in self.names() if name not in self._passing}

    def __getitem__(self, name: str) -> T:
        """The entry called `name`; `NogsError` names the near misses if there is none."""
        if name not in self._entries:
            self._load_entry_points()
        if name not in self._entries:
            names = list(self._entries)
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            known = ", ".join(names[:LISTED]) + more
            raise NogsError(
                f"unknown {self.kind} {name!r}: {nearest(name, names)}known are {known}"
            )
        return self._entries[name]

    def __iter__(self) -> Iterator[T]:
        return iter([self._entries[name] for name in self.names()])

    def _load_entry_points(self) -> None:
        asked, self._asked = self._asked, True
        for point in entry_points(group=self.group) if self.group and not asked else ():
            _Loading.depth += 1
            try:
                entry = point.load()
                self.add(point.name, entry() if _makes_one(entry) else entry)
            except (Exception, SystemExit) as error:
                if isinstance(error, NogsError):
                    raise
                package = f" of {point.dist.name}" if point.dist else ""
                raise NogsError(
                    f"entry point {point.name!r} ({point.value}){package} in {self.group} "
                    f"failed{place_of(error)}; mend or uninstall that package"
                ) from error
            finally:
                _Loading.depth -= 1


def _makes_one(entry: object) -> bool:
    """Whether an entry point's object can be called without arguments."""
    if not callable(entry):
        return False
    try:
        inspect.signature(entry).bind()
    except (TypeError, ValueError):
        return False
    return True


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'? `, of the name in `known` that is like `name`; nothing if none is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def require_whole(kind: str, spec: str) -> None:
    """Raise `NogsError` if nothing follows the colon of `NAME:ARGUMENT`, or an `@` at its end: what
    was to follow, such as a file of weights, would be passed over."""
    if spec.endswith((":", "@")):
        raise NogsError(
            f"{kind} {spec!r} breaks off; write what follows the {spec[-1]!r}, or leave that out"
        )


def nothing_after(kind: str, name: str, argument: str) -> None:
    """Raise `NogsError` if an entry that takes no argument was given one."""
    if argument:
        raise NogsError(f"{kind} {name} takes nothing after its name, not {argument!r}")
