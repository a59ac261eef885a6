"""How the code is laid out, for `lint-imports`: pyproject.toml holds its contracts.

`builders/` and `leaderboard/` are installed below `nogs_bench`; in the working tree they stand
beside it, where import-linter would not look: these contracts read the imports of all three.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from grimp import ImportGraph, build_graph
from grimp.adaptors.packagefinder import ImportLibPackageFinder
from grimp.application.config import settings
from importlinter import Contract, ContractCheck, fields, output
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[2]
PACKAGES = ("nogs_bench", "nogs_bench.builders", "nogs_bench.leaderboard")


class WorkingTree(ImportLibPackageFinder):
    """Finds the packages in the working tree, whatever is installed."""

    def determine_package_directories(self, package_name: str, file_system: object) -> set[str]:
        return {str(ROOT / package_name.rpartition(".")[2])}


@cache
def whole_graph() -> ImportGraph:
    """Which module of the three packages imports which."""
    settings.configure(PACKAGE_FINDER=WorkingTree())
    return build_graph(*PACKAGES, cache_dir=None)


class Layers(LayersContract):
    """import-linter's own, over all three packages."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        return super().check(deepcopy(whole_graph()), verbose)


class Rooms(Contract):
    """Few files a room, no circle of imports, and other rooms' names imported from the room.

    What lies in a package directly is everybody's.

    - `open`: rooms whose files may be imported from everywhere.
    - `most`: files in a room, `__init__` apart.
    """

    open = fields.SetField(subfield=fields.StringField())
    most = fields.IntegerField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        whole = whole_graph()
        everybodys = {*PACKAGES, *self.open}
        faults = [*crowded(whole, self.most), *circles(whole), *back_doors(whole, everybodys)]
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["faults"]:
            output.print_error(fault)


def crowded(graph: ImportGraph, most: int) -> list[str]:
    """Rooms with more files than `most`."""
    files = {
        room: [m for m in graph.find_children(room) if not graph.find_children(m)]
        for room in sorted(graph.modules)
    }
    return [f"{room} has {len(held)} files" for room, held in files.items() if len(held) > most]


def circles(graph: ImportGraph) -> list[str]:
    """A circle of modules that import each other, if there is one."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def back_doors(graph: ImportGraph, everybodys: set[str]) -> list[str]:
    """Imports from a file of another room, where the room itself should be imported."""
    found = []
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            room = imported.rpartition(".")[0]
            inside = module == room or module.startswith(f"{room}.")
            if room and not inside and imported not in everybodys and room not in everybodys:
                found.append(f"{module} imports {imported}; import from {room}")
    return found
