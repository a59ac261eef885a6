"""The contracts of the layout find what they are for; `lint-imports` holds the code to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from grimp import ImportGraph

from house import ROOT, back_doors, circles, crowded, whole_graph


def graph_of(*imports: tuple[str, str]) -> ImportGraph:
    graph = ImportGraph()
    for name in ("top", "top.attic", "top.cellar"):
        graph.add_module(name)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    return graph


def test_a_circle_is_found_whatever_its_length() -> None:
    down = ("top.attic.roof", "top.cellar"), ("top.cellar", "top.cellar.wine")
    assert circles(graph_of(*down)) == []
    (circle,) = circles(graph_of(*down, ("top.cellar.wine", "top.attic.roof")))
    for module in ("top.attic.roof", "top.cellar", "top.cellar.wine"):
        assert module in circle


def test_a_room_is_entered_by_its_door() -> None:
    graph = graph_of(
        ("top.attic.roof", "top.cellar"),
        ("top.attic.roof", "top.attic.beam"),
        ("top.attic.roof", "top.errors"),
        ("top.attic.beam", "top.cellar.wine"),
    )
    assert back_doors(graph, {"top", "top.cellar"}) == []
    assert back_doors(graph, {"top"}) == [
        "top.attic.beam imports top.cellar.wine; import from top.cellar"
    ]


def test_a_crowded_room_is_named() -> None:
    graph = graph_of(*((f"top.attic.file{n}", "top.cellar.wine") for n in range(3)))
    assert crowded(graph, 3) == []
    assert crowded(graph, 2) == ["top.attic has 3 files"]


def test_the_code_keeps_its_contracts() -> None:
    files = {p.relative_to(ROOT / "builders") for p in (ROOT / "builders").rglob("*.py")}
    modules = {m for m in whole_graph().modules if m.startswith("nogs_bench.builders")}
    assert len(modules) == len(files)  # builders are read too, wherever they are installed
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
