"""Modules that lie beside a user's file are found by it, as if Python had been started on it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType


class Beside(MetaPathFinder):
    """Finds the modules it was told of, each in its folder, and no others.

    `folders`: by top-level names.
    """

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def tell(self, name: str, folder: Path) -> None:
        """Have the top-level module `name` found in `folder`."""
        self.folders[name] = folder
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = path if name.partition(".")[0] in self.folders else None
        if name in self.folders:
            place = [str(self.folders[name])]
        spec = PathFinder.find_spec(name, list(place)) if place is not None else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = FromText(spec.loader.name, spec.loader.path)
        return spec


class FromText(SourceFileLoader):
    """Runs a file's text as it is now.

    Python may take bytecode instead that it kept of an earlier text: it tells texts apart by their
    size and the second of their last change.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


BESIDE = Beside()
