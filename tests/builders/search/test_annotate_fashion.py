"""Fashion-MNIST as it is annotated for every image, on a few of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nogs_bench.builders.pipeline.command import build
from nogs_bench.files.artefact import read_provenance
from nogs_bench.sequences.annotations import load_annotations
from nogs_bench.tasks.families.fashion_mnist import DEBIAN_FOLDER
from nogs_bench.tasks.task import get_task


@pytest.mark.slow
@pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist"
)
def test_five_hundred_sequences_in_two_folds_are_better_than_random_ones(tmp_path: Path) -> None:
    task = get_task("fashion-mnist")
    brief = replace(task, avp=replace(task.avp, epochs=3))
    folder = build(brief, tmp_path / "d", images=500, folds=2, with_images=False, device="cpu")
    rows = load_annotations(task, folder)
    assert rows.index.tolist() == list(range(500))
    cells = task.grid.pixel_to_index(rows.glimpses)
    assert len(np.unique(cells[:, 0])) == 1
    assert len(np.unique(cells[:, -1])) > 20
    provenance = read_provenance(folder)
    built, random = (provenance["quality"][name] for name in ("built", "random"))
    assert built["accuracy"][-1] > random["accuracy"][-1] + 0.05
    assert built["cross_entropy"][-1] < random["cross_entropy"][-1] - 0.1
    # A choice asks for a small part of all cells and distinct completions.
    steps = 500 * (task.T - 1)
    assert provenance["made_by"]["evaluations"] / steps < task.grid.cells * 120
