"""The object that `FILE.py:NAME` names."""

from __future__ import annotations

import hashlib
import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from nogs_bench.errors import NogsError, place_of
from nogs_bench.own_code.beside import BESIDE, FromText
from nogs_bench.own_code.imports import imported, source_digest


def load_object(spec: str, kind: str) -> Any:
    """The object that `FILE.py:NAME` names.

    The file runs with the user's rights: only a name that the user typed may come here, never one
    read from a dataset or a result. The Python files beside it can be imported by their names, if
    the import stands in the text as such, wherever in it. A library of that name goes first.

    A file that has not changed, nor any module of the user's that it imports, is not run again, so
    the same `spec` gives the same object. Raises `NogsError` if the file or the name is missing,
    the file fails, or a module of the same name was imported from another folder.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise NogsError(f"no such {kind} file: {file or spec}; write it as FILE.py:NAME")
    content = hashlib.sha256(f"{path}{source_digest(path)}".encode()).hexdigest()
    module_name = f"nogs_bench_user_{path.stem}_{content[:16]}"
    module = sys.modules.get(module_name)
    if module is None:
        modules = imported(path)
        _look_beside(path, modules)
        _forget_changed({file for file in modules.values() if file is not None})
        module = _run_file(path, module_name, kind)
    if not hasattr(module, name):
        raise NogsError(f"{path} defines no {name!r}; write the {kind} as FILE.py:NAME")
    return getattr(module, name)


_RUNNING: list[tuple[Path, ModuleType]] = []


def running_file() -> tuple[Path, ModuleType] | None:
    """The user's file that is being run, if one is, and its module, another each time."""
    return _RUNNING[-1] if _RUNNING else None


def _look_beside(path: Path, modules: dict[str, Path | None]) -> None:
    """Let `path` import those of its `modules` that lie in its folder.

    A process has one module of a name: with two, one file would run with the other's.
    """
    for name, file in modules.items():
        top = name.partition(".")[0]
        other = BESIDE.folders.get(top, path.parent) != path.parent
        loaded = _file_of(sys.modules.get(name))
        if (other and name == top) or (loaded and file and loaded != file):
            raise NogsError(
                f"{path} imports {name} ({file or 'there is none beside it'}), and another "
                f"{name} was imported before ({loaded or BESIDE.folders[top]}); rename one of "
                "the two, or start Python anew"
            )
        if file is not None and file.is_relative_to(path.parent):
            BESIDE.tell(top, path.parent)


_SEEN: dict[Path, bytes] = {}  # what the user's modules were when they were imported


def _forget_changed(files: set[Path]) -> None:
    """Have the modules that a file imports imported anew, if one has changed since."""
    now = {file: file.read_bytes() for file in files}
    if any(_SEEN.get(file, content) != content for file, content in now.items()):
        for name, module in list(sys.modules.items()):
            if _file_of(module) in now:
                del sys.modules[name]
    importlib.invalidate_caches()
    _SEEN.update(now)


def _file_of(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _run_file(path: Path, module_name: str, kind: str) -> ModuleType:
    loader = FromText(module_name, str(path))
    module_spec = spec_from_file_location(module_name, path, loader=loader)
    if module_spec is None or path.suffix != ".py":
        raise NogsError(f"{path} is not a Python file; write the {kind} as FILE.py:NAME")
    module = module_from_spec(module_spec)
    sys.modules[module_name] = module
    _RUNNING.append((path, module))
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, SystemExit):
            raise NogsError(
                f"{path} ends Python while it is loaded (sys.exit); have it do so only where "
                "__name__ is '__main__'"
            ) from error
        if not isinstance(error, Exception):
            raise
        raise NogsError(f"{path} failed while it was loaded{place_of(error)}") from error
    finally:
        _RUNNING.pop()
    return module
