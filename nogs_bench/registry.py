"""Names to objects: how tasks, methods, models, searches and criteria are extended."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from nogs_bench.errors import NogsError, place_of

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
        self.group = group
        self._asked = False
        self._entries: dict[str, T] = {}
        self._passing: set[str] = set()

    def add(self, name: str, entry: T) -> T:
        """Register `entry` under `name`. Raises `NogsError` if another object has that name."""
        if self._entries.setdefault(name, entry) != entry:
            raise NogsError(f"{self.kind} {name!r} is registered twice; give one another name")
        self._passing.discard(name)
        return entry

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
            entry = point.load()
            self.add(point.name, entry() if callable(entry) else entry)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'? `, of the name in `known` that is like `name`; nothing if none is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def load_object(spec: str, kind: str) -> Any:
    """The object that `FILE.py:NAME` names.

    The file runs with the user's rights: only a name that the user typed may come here, never one
    read from a dataset or a result. A file that has not changed, nor any module of the user's that
    it imports, is not run again, so the same `spec` gives the same object. Raises `NogsError` if
    the file or the name is missing.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise NogsError(f"no such {kind} file: {file or spec}; write it as FILE.py:NAME")
    content = hashlib.sha256(f"{path}{source_digest(path)}".encode()).hexdigest()
    module_name = f"nogs_bench_user_{path.stem}_{content[:16]}"
    module = sys.modules.get(module_name)
    if module is None:
        _forget_changed(path)
        module = _run_file(path, module_name, kind)
    if not hasattr(module, name):
        raise NogsError(f"{path} defines no {name!r}; write the {kind} as FILE.py:NAME")
    return getattr(module, name)


def source_digest(*files: Path | str) -> str:
    """sha256 of Python files and of every module that they import, directly or not, and that lies
    outside the environment's libraries and this package."""
    digest = hashlib.sha256()
    for path in sorted({Path(file).resolve() for file in files} | _imported(files)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SEEN: dict[Path, bytes] = {}  # what the user's modules were when they were imported


def _forget_changed(path: Path) -> None:
    """Have the modules that a file imports imported anew, if one has changed since."""
    now = {file: file.read_bytes() for file in _imported([path])}
    if any(_SEEN.get(file, content) != content for file, content in now.items()):
        for name, module in list(sys.modules.items()):
            if _file_of(module) in now:
                del sys.modules[name]
        importlib.invalidate_caches()
    _SEEN.update(now)


def _imported(files: Iterable[Path | str]) -> set[Path]:
    """Files of the modules that `files` import, directly or not, but for libraries and `files`."""
    roots = {Path(file).resolve() for file in files}
    found: set[Path] = set()
    todo = list(roots)
    while todo:
        for name in _import_names(todo.pop()):
            file = _module_file(name)
            if file is not None and file not in found | roots:
                found.add(file)
                todo.append(file)
    return found


def _import_names(path: Path) -> Iterator[str]:
    """Absolute names of what a file imports, wherever in it; of `from a import b`, a and a.b."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return  # Python says what is wrong with it when it is run
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = _package_of(path).split(".") if node.level else []
            above = parents[: len(parents) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _package_of(path: Path) -> str:
    """The package that an imported file belongs to; empty for none."""
    packages = (m.__package__ for m in list(sys.modules.values()) if _file_of(m) == path)
    return next(packages, None) or ""


def _module_file(name: str) -> Path | None:
    """The Python file of a module outside libraries and this package; None of any other name."""
    file = None
    if name in sys.modules:
        file = _file_of(sys.modules[name])
    elif name.rpartition(".")[0] in {"", *sys.modules}:  # else looking for it would run its parent
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):
            return None
        file = Path(spec.origin) if spec is not None and spec.origin is not None else None
    if file is None or file.suffix != ".py" or _INSTALLED & set(file.parts):
        return None
    return None if any(file.is_relative_to(place) for place in _LIBRARIES) else file


def _file_of(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) else None


_INSTALLED = {"site-packages", "dist-packages"}
_LIBRARIES = (
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")),
    Path(__file__).resolve().parent,
    Path(__file__).resolve().parent.parent / "builders",
)


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
        raise NogsError(f"{path} failed while it was loaded{place_of(error)}") from error
    return module
