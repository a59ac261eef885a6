"""The sequences that come with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nogs_bench.builders.dataset.card_check import check_card
from nogs_bench.builders.pipeline.command import build
from nogs_bench.files.artefact import read_provenance
from nogs_bench.sequences.annotations import load_annotations
from nogs_bench.sequences.finding import SHIPPED
from nogs_bench.tasks.task import get_task
from nogs_bench.training.heuristic import first_step_map

TASK = get_task("cluttered-digits")
FOLDER = SHIPPED / TASK.name
REBUILT = 150


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
    gaps = np.abs(np.subtract(built["stated"], built["cross_entropy"]))
    assert gaps.max() < 0.05
    # The search's own, the least of many, is too low; what is stated is corrected.
    assert gaps.max() < np.abs(np.subtract(built["searched"], built["cross_entropy"])).max()


def test_the_shipped_card_is_right_in_every_field() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    check_card(card, TASK, read_provenance(FOLDER))


@pytest.mark.slow
def test_the_committed_builder_makes_the_shipped_sequences_again(tmp_path: Path) -> None:
    """The first 150, up to the rounding of sums, where training gives the posterior that made them.
    With another torch or processor it gives another one, and others are the sequences.
    """
    rebuilt = build(
        TASK.name, tmp_path / TASK.name, images=REBUILT, with_images=False, device="cpu"
    )
    shipped, again = load_annotations(TASK), load_annotations(TASK, rebuilt)
    np.testing.assert_array_equal(shipped.index[:REBUILT], again.index)
    # What is stated is corrected by all annotated images, here fewer.
    shipped_epe, again_epe = searched(FOLDER), searched(rebuilt)
    assert shipped_epe[:REBUILT].mean(0) == pytest.approx(again_epe.mean(0), abs=0.05)
    # What it believes after the first glimpse, which is one place for all images.
    believed = shipped.posterior[:REBUILT, 0], again.posterior[:, 0]
    if (shipped.glimpses[0, 0] == again.glimpses[0, 0]).all() and np.allclose(*believed, atol=2e-3):
        same = (shipped.glimpses[:REBUILT] == again.glimpses).all((1, 2))
        assert same.mean() > 0.98  # near-ties may fall otherwise
        # A near-tie among the completions changes the EPE of a glimpse, and not which one is least.
        apart = np.abs(shipped_epe[:REBUILT][same] - again_epe[same])
        assert (apart < 1e-4).mean() > 0.99
        assert apart.max() < 0.05


def searched(folder: Path) -> np.ndarray:
    """float64 (n, T): the EPE as it was searched, without the correction."""
    factors = read_provenance(folder)["made_by"]["epe_factors"]
    return np.asarray(load_annotations(TASK, folder).epe / factors)


def test_sequences_of_another_version_load_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(FOLDER, old)
    record = json.loads((old / "provenance.json").read_text())
    (old / "provenance.json").write_text(json.dumps(record | {"task_version": 3}))
    assert len(load_annotations(TASK, old)) == len(load_annotations(TASK))
    said = capsys.readouterr().err
    assert f"old are of version 3 of {TASK.name}, which is now at {TASK.version}" in said
    assert said.count("\n") == 1
