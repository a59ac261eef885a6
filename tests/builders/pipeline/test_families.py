"""Tasks of one family share what does not depend on their label, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from nogs_bench.builders.pipeline.command import build
from two_corners import family


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / ".build").glob("*.safetensors")}


@pytest.mark.parametrize("posterior", ["avp", "bank"])
def test_a_file_of_the_same_name_is_the_same_whichever_label_asked(
    tmp_path: Path, posterior: str
) -> None:
    tasks = family()
    files = []
    for task in tasks:
        out = tmp_path / task.name
        build(task, out, posterior=posterior, workers=1, threads=1, device="cpu", images=4)
        files.append(made(out))
    shared = set(files[0]) & set(files[1])
    # The bank, with the labels of all; the posterior, chosen and fitted for all.
    kinds = {name.rsplit("-", 1)[0] for name in shared}
    assert {"bank", {"avp": "avp", "bank": "bank-posterior"}[posterior]} <= kinds
    for name in shared:
        assert files[0][name] == files[1][name], name
