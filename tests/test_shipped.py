"""The sequences that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nogs_bench.annotations import SHIPPED, load_annotations
from nogs_bench.artefact import read_provenance
from nogs_bench.builders.build import build
from nogs_bench.builders.card_check import check_card
from nogs_bench.heuristic import first_step_map
from nogs_bench.task import get_task

TASK = get_task("cluttered-digits")
FOLDER = SHIPPED / TASK.name
REBUILT = 300


def test_shipped_sequences_are_the_tasks() -> None:
    rows = load_annotations(TASK)
    assert len(rows) == TASK.annotation.images == TASK.training.supervised
    train = TASK.source.load("train")
    np.testing.assert_array_equal(train.labels[rows.index, 0], rows.labels)
    # Nothing has been seen before the first glimpse: it is the least of a map all images share.
    first = first_step_map(TASK)
    cells = TASK.grid.pixel_to_index(rows.glimpses)
    assert (cells[:, 0] == first.argmin()).all()
    # Later glimpses depend on the image.
    assert len(np.unique(cells[:, 1])) > 5


def test_shipped_sequences_say_how_good_they_are() -> None:
    quality = json.loads((FOLDER / "provenance.json").read_text())["quality"]
    built, random = quality["built"], quality["random"]
    assert built["cross_entropy"][-1] < 0.5 < random["cross_entropy"][-1]
    assert built["accuracy"][-1] > 0.85


def test_the_shipped_card_is_right_in_every_field() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    check_card(card, TASK, read_provenance(FOLDER))


@pytest.mark.slow
def test_the_committed_builder_makes_the_shipped_sequences_again(tmp_path: Path) -> None:
    """The first 300, to the last bit where torch and the CPU's instructions are those that made
    them. Elsewhere sums round differently, and near-ties of the search fall otherwise.
    """
    rebuilt = build(TASK.name, tmp_path / TASK.name, REBUILT, with_images=False, device="cpu")
    made_on = json.loads((FOLDER / "provenance.json").read_text())["made_by"]["environment"]
    here = {"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
    if {name: made_on[name] for name in here} == here:
        for name in ("annotations/train.parquet", "maps/train.parquet"):
            assert _annotated(rebuilt / name) == _annotated(FOLDER / name), name
    shipped, again = load_annotations(TASK), load_annotations(TASK, rebuilt)
    np.testing.assert_array_equal(shipped.index[:REBUILT], again.index)
    assert shipped.epe[:REBUILT].mean(0) == pytest.approx(again.epe.mean(0), abs=0.05)


def _annotated(path: Path) -> list[dict[str, Any]]:
    """The rows of the first `REBUILT` images."""
    return pq.read_table(path).slice(0, REBUILT).to_pylist()
