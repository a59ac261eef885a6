"""Which modules of the user's a file imports, and a digest of them all.

Imports are read from the text, and nothing is run: the digest is the same before and after. An
installed package that extends this one by entry points counts as the user's: it may change too.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from nogs_bench.own_code.beside import BESIDE


def source_digest(*files: Path | str) -> str:
    """sha256 of Python files and of every module that they import, directly or not, and that lies
    outside the environment's libraries (but for extensions of this package) and this package.

    A module is looked for beside the file first, then where Python looks.
    """
    digest = hashlib.sha256()
    roots = {Path(file).resolve() for file in files}
    found = [file for root in roots for file in imported(root).values() if file is not None]
    for path in sorted(roots.union(found)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def joint_digest(digest: str, *objects: Callable[..., Any]) -> str:
    """`digest` of some code, with that of the user's files in which `objects` are defined.

    `objects`: functions or classes. If they are all of libraries or this package, `digest` itself.
    """
    files = own_files(*objects)
    if not files:
        return digest
    return hashlib.sha256(f"{digest}{source_digest(*files)}".encode()).hexdigest()


def own_files(*objects: Callable[..., Any]) -> set[Path]:
    """The user's files in which functions, classes, or those of objects, are defined; none of what
    is typed in."""
    found = set()
    for each in objects:
        code = inspect.unwrap(getattr(each, "func", each))
        named = inspect.isclass(code) or inspect.isroutine(code)
        kind: Any = code if named else type(code)
        try:
            file = Path(inspect.getfile(kind)).resolve()
        except TypeError:
            continue
        if file.is_file() and (_is_extension(kind.__module__) or not in_library(file)):
            found.add(file)
    return found


def imported(root: Path) -> dict[str, Path | None]:
    """Files of the modules that a file imports, directly or not, by their names; no libraries.

    None for a name of which there is no Python file.
    """
    found: dict[str, Path | None] = {}
    todo = [(root, _package_of(root))]
    while todo:
        for name in _import_names(*todo.pop()):
            if name in found or name.partition(".")[0] in sys.stdlib_module_names:
                continue
            spec = _find(name, root.parent)
            if spec is None or not (spec.origin or "").endswith(".py"):
                found[name] = None
            elif not _is_library(spec):
                found[name] = file = Path(spec.origin or "").resolve()
                todo.append((file, spec.parent or ""))
    return found


def _import_names(path: Path, package: str) -> Iterator[str]:
    """Absolute names of what a file imports, wherever in it; of `from a import b`, a and a.b."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return  # Python says what is wrong with it when it is run
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".") if node.level else []
            above = parents[: len(parents) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if all(parts):  # not so in a relative import of a file that is in no package
                yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _package_of(path: Path) -> str:
    """The package that an imported file belongs to; empty for none."""
    modules = list(sys.modules.values())
    packages = (m.__package__ for m in modules if getattr(m, "__file__", None) == str(path))
    return next(packages, None) or ""


def _find(name: str, folder: Path) -> ModuleSpec | None:
    """Where a module is: a library's, else the one beside, else where Python finds it."""
    parent, _, _ = name.rpartition(".")
    if parent:
        above = _find(parent, folder)
        inside = above.submodule_search_locations if above and not _is_library(above) else None
        return PathFinder.find_spec(name, list(inside)) if inside else None
    known = _known(name)
    if known is not None and _is_library(known):
        return known
    return PathFinder.find_spec(name, [str(folder)]) or known


def _known(name: str) -> ModuleSpec | None:
    """What Python finds, but for what lies beside a user's file."""
    module = None if name in BESIDE.folders else sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        return module.__spec__ or (spec_from_file_location(name, file) if file else None)
    finders: list[Any] = [finder for finder in sys.meta_path if finder is not BESIDE]
    specs = (finder.find_spec(name, None) for finder in finders)
    return next((spec for spec in specs if spec is not None), None)


def _is_library(spec: ModuleSpec) -> bool:
    if _is_extension(spec.name):
        return False
    places = [spec.origin] if spec.has_location else spec.submodule_search_locations or []
    return any(in_library(Path(place)) for place in places if place)


def _is_extension(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _extensions()


@cache
def _extensions() -> frozenset[str]:
    """Top-level names of the installed packages that extend this one."""
    points = [point for package in distributions() for point in package.entry_points]
    ours = [point.module for point in points if point.group.startswith("nogs_bench.")]
    return frozenset(module.partition(".")[0] for module in ours) - {"nogs_bench"}


def in_library(file: Path) -> bool:
    """Whether a file is installed, or Python's or this package's, and not the user's own."""
    installed = bool(_INSTALLED & set(file.parts))
    return installed or any(file.is_relative_to(place) for place in _LIBRARIES)


_INSTALLED = {"site-packages", "dist-packages"}
_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = (
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")),
    _PACKAGE,
    _PACKAGE.parent / "builders",
)
