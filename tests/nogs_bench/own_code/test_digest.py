from __future__ import annotations

import hashlib
import importlib
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from corner_task import CORNER
from nogs_bench.evaluation.configs import model_info
from nogs_bench.methods import METHODS, method_source
from nogs_bench.network import EMBEDDERS, load_model
from nogs_bench.own_code import imports, load_object, own_files, source_digest


def test_a_model_is_known_by_all_that_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules beside it, whatever way they are imported, and what these import in turn."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "netparts_a.py").write_text("from netparts_b import WIDTH\nSIZE = WIDTH\n")
    (tmp_path / "netparts_b.py").write_text("WIDTH = 3\n")
    (tmp_path / "netparts_c.py").write_text("DEPTH = 5\n")
    file = tmp_path / "net.py"
    file.write_text(
        "import json, numpy\nimport netparts_a as parts\n\n"
        "def size():\n    import netparts_c\n    return parts.SIZE, netparts_c.DEPTH\n"
    )
    spec = f"{file}:size"
    assert load_object(spec, "model")() == (3, 5)
    seen = {source_digest(file)}
    (tmp_path / "netparts_b.py").write_text("WIDTH = 4000\n")
    seen.add(source_digest(file))
    assert load_object(spec, "model")() == (4000, 5)
    (tmp_path / "netparts_c.py").write_text("DEPTH = 6000\n")
    seen.add(source_digest(file))
    assert len(seen) == 3
    (tmp_path / "unrelated.py").write_text("")
    assert source_digest(file) in seen
    alone = tmp_path / "alone.py"
    alone.write_text("import torch, nogs_bench, json\n")
    assert source_digest(alone) == hashlib.sha256(alone.read_bytes()).hexdigest()


def test_an_installed_extension_is_known_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(installed)
    (installed / "extension_parts.py").write_text("WIDTH = 3\n")
    file = installed / "extension_of_tests.py"
    file.write_text("import json\nimport extension_parts\n\ndef search(problem): pass\n")
    search = importlib.import_module("extension_of_tests").search
    assert own_files(search) == set()
    points = [
        EntryPoint("mine", f"{name}:search", "nogs_bench.searches")
        for name in ("extension_of_tests", "extension_parts")
    ]
    package = SimpleNamespace(entry_points=points)
    monkeypatch.setattr(imports, "distributions", lambda: [package])
    imports._extensions.cache_clear()
    assert own_files(search) == {file}
    before = source_digest(file)
    (installed / "extension_parts.py").write_text("WIDTH = 4000\n")
    assert source_digest(file) != before
    monkeypatch.undo()
    imports._extensions.cache_clear()


EMBEDDER = """
import torch
from nogs_bench.network import EMBEDDERS
{more}
@EMBEDDERS.register("own-embedder-of-the-tests")
class Own(torch.nn.Linear):
    def __init__(self, task, units, argument):
        super().__init__(task.glimpse_size**2, units)

    def forward(self, patch):
        return super().forward(patch.flatten(1))

NAME = "own-embedder-of-the-tests"
"""


def test_a_result_knows_the_embedder_that_a_user_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own_embedder.py"
    digests = [load_model("reference").digest]
    assert model_info("reference", CORNER).source_digest == digests[0], "the package's own"
    monkeypatch.setattr(EMBEDDERS, "_entries", dict(EMBEDDERS._entries))
    for more in ("", "# changed"):
        EMBEDDERS._entries.pop("own-embedder-of-the-tests", None)
        file.write_text(EMBEDDER.format(more=more))
        name = load_object(f"{file}:NAME", "embedder")
        task = replace(CORNER, training=replace(CORNER.training, embedder=name))
        digests.append(model_info("reference", task).source_digest)
    assert len(set(digests)) == 3


def test_objects_are_known_by_the_file_of_their_class(tmp_path: Path) -> None:
    file = tmp_path / "own_factory.py"
    file.write_text(
        "class Factory:\n    def __call__(self, task):\n        return task\n\nMAKE = Factory()\n"
    )
    make = load_object(f"{file}:MAKE", "embedder")
    assert own_files(make, make.__call__, type(make)) == {file.resolve()}
    assert own_files(make) == {file.resolve()}
    assert own_files(len, 3, Path(), CORNER.source.load) == own_files(CORNER.source) != set()


def test_a_result_knows_the_method_that_a_user_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    file = tmp_path / "own_method.py"
    file.write_text("def objective(rows): ...\n")
    objective = load_object(f"{file}:objective", "objective")
    METHODS.add("own", replace(METHODS["ram"], name="own", objective=objective))
    assert method_source("own") == source_digest(file)
    assert method_source("ram") is None
    assert method_source("ram-taught:weight=20") is None
