"""Builds whose posterior sees glimpses alone: the bank's are embedded once."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior import EmbeddedBank, embedded
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
    assert not {f"{copy:07d}.npy" for copy in made} & first
    assert not folder.exists()
    assert rows_of(out) == rows_of(built)


@pytest.mark.parametrize("other", [{"observed": "pasted"}, {"posterior": "bank"}])
def test_what_shows_other_pixels_or_knows_no_glimpses_is_computed(tmp_path, other, monkeypatch):
    monkeypatch.setattr(EmbeddedBank, "prepare", None)
    stages = searched(quick(tmp_path / "corner", **other))[2]
    assert "embedded" not in stages["sequences"]["config"]
