from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nogs_bench.own_code import load_object, source_digest


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
