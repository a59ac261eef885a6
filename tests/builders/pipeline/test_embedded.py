"""Builds whose posterior sees glimpses alone: the bank's are embedded once."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from nogs_bench.builders.completion import COMPLETIONS, Retrieval
from nogs_bench.builders.completion.retrieval import RetrievalKind
from nogs_bench.builders.pipeline import folds
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior import EmbeddedBank, embedded
from nogs_bench.builders.search import regret
from nogs_bench.tasks import AvpTraining
from tiny import corner_task

TASK = corner_task(avp=AvpTraining("patch-sum:8x1", epochs=2, batch_size=50, learning_rate=5e-3))
TASK = replace(
    TASK, annotation=replace(TASK.annotation, bank_images=15, effective_samples=8.0, mirrored=True)
)


def quick(out, **given):
    return build(TASK, out, **{"workers": 1, "threads": 1, "device": "cpu"} | given)


def searched(folder):
    """The cells that were chosen, and what the search found."""
    rows = [row for row in rows_of(folder) if row["annotated"]]
    record = json.loads((folder / "provenance.json").read_text())
    epe = np.array([row["epe"] for row in rows]) / record["made_by"]["epe_factors"]
    return np.array([row["glimpses"] for row in rows]), epe, record["made_by"]["stages"]


def rows_of(folder):
    return pq.read_table(folder / "annotations" / "train.parquet").to_pylist()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return quick(tmp_path_factory.mktemp("built") / "corner")


def test_sequences_are_those_of_the_images_up_to_rounding(built, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "LEAST_DRAWN", 1000)
    plain = quick(tmp_path / "corner")
    (cells, epe, stages), (own, expected, others) = searched(built), searched(plain)
    assert stages["sequences"]["config"]["embedded"] == "float16"
    assert "embedded" not in others["sequences"]["config"]
    assert (cells == own).mean() > 0.95
    np.testing.assert_allclose(epe, expected, atol=2e-3)


def test_nothing_of_them_is_left_and_workers_share_them(built, tmp_path):
    assert not list(built.glob(".build/embedded-*"))
    shared = quick(tmp_path / "corner", workers=2)
    assert not list(shared.glob(".build/embedded-*"))
    assert rows_of(shared) == rows_of(built)


def test_a_build_that_was_stopped_finds_them(built, tmp_path, monkeypatch):
    out = tmp_path / "corner"
    quick(out, part="0/2")
    (folder,) = out.glob(".build/embedded-*")
    first = {path.name for path in folder.iterdir()}
    assert first
    made = []
    whole = EmbeddedBank.embedded
    monkeypatch.setattr(
        EmbeddedBank, "embedded", lambda self, copy: made.append(copy) or whole(self, copy)
    )
    quick(out)
    assert not {f"{copy:07d}.safetensors" for copy in made} & first
    assert not folder.exists()
    assert rows_of(out) == rows_of(built)


def test_regrets_are_those_of_the_images(tmp_path, monkeypatch):
    monkeypatch.setattr(regret, "ONE_IN", 6)
    monkeypatch.setattr(folds, "REGRET_SHARE", 10.0)
    found = []
    for name, least in (("kept", 20), ("computed", 1000)):
        monkeypatch.setattr(embedded, "LEAST_DRAWN", least)
        record = json.loads((quick(tmp_path / name) / "provenance.json").read_text())
        found.append(record["quality"]["5 of built"]["regret"])
    assert found[0] == pytest.approx(found[1], abs=2e-3)


def test_an_own_completion_that_changes_the_images_is_shown_as_it_is(tmp_path, monkeypatch):
    """It inherits what retrieval says of itself, and it is not true of it."""

    class Dark(Retrieval):
        def completions(self, *given):
            drawn = super().completions(*given)
            return replace(drawn, images=np.zeros_like(drawn.images))

    class Kind(RetrievalKind):
        def open(self, path, task, bank, device):
            return Dark(bank, task.grid, task.annotation, None, device)

    monkeypatch.setitem(COMPLETIONS._entries, "dark", Kind())
    stages = searched(quick(tmp_path / "corner", completion="dark"))[2]
    assert "embedded" not in stages["sequences"]["config"]


def test_what_another_build_left_goes_with_the_next_that_ends(tmp_path):
    quick(tmp_path / "corner", part="0/2")
    (left,) = tmp_path.glob("corner/.build/embedded-*")
    quick(tmp_path / "corner", seed=1)
    assert not left.exists()


@pytest.mark.parametrize("other", [{"observed": "pasted"}, {"posterior": "bank"}])
def test_what_shows_other_pixels_or_knows_no_glimpses_is_computed(tmp_path, other, monkeypatch):
    monkeypatch.setattr(EmbeddedBank, "prepare", None)
    stages = searched(quick(tmp_path / "corner", **other))[2]
    assert "embedded" not in stages["sequences"]["config"]
