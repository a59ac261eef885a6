"""What is in a folder is not replaced without a word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawings import write_drawings
from nogs_bench.builders.dataset import (
    IMPORTED,
    Annotations,
    require_own_images,
    require_vacant,
    write_dataset,
)
from nogs_bench.builders.pipeline import BuildPlan, build
from nogs_bench.errors import NogsError
from nogs_bench.files import read_provenance
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import GlimpseGrid, Task, load_split
from tiny import Corner, corner_task


def write(task: Task, out: Path, **made_by: Any) -> None:
    splits = {name: load_split(task, name) for name in ("train", "validation", "test")}
    rows = Annotations(np.arange(3), np.zeros((3, task.T, 2), int))
    write_dataset(task, out, **splits, annotations=rows, provenance=made_by, origin="of a test")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_task_s_dataset_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "nogs"
    write(corner_task(name="first"), out)
    before = contents(out)
    with pytest.raises(NogsError, match=r"holds a dataset of first \(3 images annotated\).*--repl"):
        build(corner_task(name="second"), out)
    assert contents(out) == before
    require_vacant("first", out)
    require_vacant("second", out, replace=True)
    write(corner_task(name="second"), out)
    assert read_provenance(out)["task"] == "second"


def test_a_dataset_of_other_images_under_the_same_name_is_not_replaced(tmp_path: Path) -> None:
    class Inverted(Corner):
        def load(self, split: str, data: Path | None = None) -> LabelledImages:
            found = super().load(split, data)
            return LabelledImages(255 - found.images, found.labels)

    out = tmp_path / "nogs"
    write(corner_task(), out)
    before = contents(out)
    with pytest.raises(NogsError, match=r"dataset of corner, but of other images.*--replace"):
        build(corner_task(source=Inverted()), out)
    assert contents(out) == before
    require_own_images(corner_task(), out, None)
    require_own_images(corner_task(source=Inverted()), out, None, replace=True)


def test_what_no_build_wrote_is_not_replaced(tmp_path: Path) -> None:
    """`--out .` in a project would have taken its README.md and data away."""
    (tmp_path / "README.md").write_text("my project")
    (tmp_path / "notes.txt").write_text("more")
    with pytest.raises(NogsError, match=r"holds README\.md, which no build wrote"):
        build(corner_task(), tmp_path)
    assert (tmp_path / "README.md").read_text() == "my project"
    (tmp_path / "README.md").unlink()
    with pytest.raises(NogsError, match=r"holds notes\.txt, which no build wrote"):
        require_vacant("corner", tmp_path)
    with pytest.raises(NogsError, match="is a file"):
        require_vacant("corner", tmp_path / "notes.txt")


def test_images_are_no_place_for_a_dataset(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    before = contents(photos)
    for out in (photos, photos / "nogs"):
        with pytest.raises(NogsError, match="lies in the folder of the images"):
            build(str(photos), out, replace=True)
    other = write_drawings(tmp_path / "other", each=20)
    for anyway in (False, True):
        with pytest.raises(NogsError, match="which no build wrote"):
            build(str(photos), other, replace=anyway)
    assert contents(photos) == before


def test_what_was_imported_and_what_was_built_do_not_replace_each_other(tmp_path: Path) -> None:
    built, imported = tmp_path / "built", tmp_path / "imported"
    write(corner_task(), built, asked={"seed": 0})
    write(corner_task(), imported, stage=IMPORTED)
    require_vacant("corner", imported)
    require_vacant("corner", built, asked={"seed": 0})
    with pytest.raises(NogsError, match="corner that was built"):
        require_vacant("corner", built)
    with pytest.raises(NogsError, match="corner that was imported"):
        require_vacant("corner", imported, asked={"seed": 0})


def test_settings_are_those_of_the_content_and_not_of_paths(tmp_path: Path) -> None:
    """Weights by their digest; how many glimpses, and where they may be, count too."""
    plans = []
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"other")):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "weights.safetensors"
        file.write_bytes(content)
        task = corner_task()
        task = replace(task, avp=replace(task.avp, network=f"timm:resnet18@{file}"))
        plans.append(BuildPlan(task, tmp_path).asked(1))
    assert plans[0] == plans[1] != plans[2]
    assert str(tmp_path) not in json.dumps(plans)
    usual = BuildPlan(corner_task(), tmp_path).asked(1)
    for task in (corner_task(T=1), corner_task(grid=GlimpseGrid.even(12, 3, 3))):
        assert BuildPlan(task, tmp_path).asked(1) != usual


def test_a_dataset_made_with_other_settings_is_not_replaced(tmp_path: Path) -> None:
    """More images are no other settings: what was annotated stays."""
    settings: dict[str, Any] = {"posterior": "bank", "device": "cpu", "workers": 1}
    out = build(corner_task(), tmp_path / "nogs", images=4, **settings)
    before = contents(out)
    for other, named in (
        ({"samples": 9}, "annotation.samples = 20, not 9"),
        ({"seed": 1}, "seed = 0, not 1"),
        ({"folds": 2}, "folds = 1, not 2"),
    ):
        with pytest.raises(NogsError, match=f"{named}; give another --out, or --replace"):
            build(corner_task(), out, images=4, **settings | other)
    assert contents(out) == before
    build(corner_task(), out, images=6, **settings)
    assert read_provenance(out)["annotated"] == 6
    build(corner_task(), out, images=4, samples=9, replace=True, **settings)
    assert read_provenance(out)["made_by"]["asked"]["annotation.samples"] == 9


def test_what_a_killed_build_left_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "nogs"
    (out / "data").mkdir(parents=True)
    with pytest.raises(NogsError, match="holds data"):
        require_vacant("corner", out)
    (tmp_path / ".nogs.unfinished-abc").mkdir()
    require_vacant("corner", out)


def test_negative_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="--seed must be at least 0"):
        build(corner_task(), tmp_path / "out", seed=-1)


@pytest.mark.parametrize("name", ["p/br[0]ack", "a::b", "st*r", "wh?t"])
def test_folders_that_cannot_be_loaded_are_refused_before_the_build(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(NogsError, match="cannot be loaded"):
        build(corner_task(), tmp_path / name)
    assert not (tmp_path / name).exists()
