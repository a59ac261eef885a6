"""The classroom's notebook: as its script makes it, and it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest

from places import ROOT

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "classroom.ipynb"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    monkeypatch.syspath_prepend(EXAMPLES)
    sys.modules.pop("make_classroom", None)
    from make_classroom import make_notebook

    return make_notebook()


def test_the_kept_notebook_is_the_script_s_and_has_its_outputs(
    made: nbformat.NotebookNode,
) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(kept)
    assert [(c.cell_type, c.source) for c in kept.cells] == [
        (c.cell_type, c.source) for c in made.cells
    ]
    outputs = [output for cell in kept.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert sum("image/gif" in output.get("data", {}) for output in outputs) == 1
    tables = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert "<td>ps-nogs</td>" in tables
    assert not [output for output in outputs if output.output_type == "error"]
    assert NOTEBOOK.stat().st_size < 500_000


@pytest.mark.slow
def test_the_notebook_runs(made: nbformat.NotebookNode, tmp_path: Path) -> None:
    from make_classroom import run_notebook

    for cell in made.cells:
        cell.source = cell.source.replace("iterations=600", "iterations=100")
    done = run_notebook(made, tmp_path)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert len(list((tmp_path / "results").glob("*.json"))) == 2
