"""Tasks of one family share what does not depend on their label, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nogs_bench.builders.pipeline import chosen
from nogs_bench.builders.pipeline.command import build, made_folders
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


def test_chosen_glimpses_of_many_labels_are_kept_in_small_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    avp = {"network": "local:4k4s4-8", "rounds": 1, "chosen_images": 21}
    tasks = [replace(task, avp=replace(task.avp, **avp)) for task in family()]
    starts, annotate_all = [], chosen.annotate_all

    def noted(load, shards, *others):
        starts.append([shard.start for shard in shards])
        annotate_all(load, shards, *others)

    monkeypatch.setattr(chosen, "annotate_all", noted)
    build(tasks, tmp_path / "out", workers=1, threads=1, device="cpu", images=4)
    assert starts == [[0, 10, 20]]


def test_the_folders_of_a_build_are_its_own(tmp_path: Path) -> None:
    """Whatever else lies beside them."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "provenance.json").write_text("{}")
    names = ("utkface-gender", "utkface-age")
    assert made_folders(tmp_path, "utkface-*") == [tmp_path / name for name in names]
    assert made_folders(tmp_path, "utkface-gen*") == [tmp_path]
    assert made_folders(tmp_path, "utkface-gender") == [tmp_path]
