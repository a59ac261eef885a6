"""A folder as a task is what it was for the build of the sequences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drawings import write_drawings
from nogs_bench.builders.dataset.publication import make_publication
from nogs_bench.builders.pipeline import build
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.sequences import as_built, load, load_annotations, load_pictured
from nogs_bench.tasks import get_task, source_specs, task_of


def test_numbers_set_by_hand_come_with_the_sequences(tmp_path: Path) -> None:
    photos = str(write_drawings(tmp_path / "photos", each=20))
    built = tmp_path / "built"
    built.mkdir()
    record = {"task": "photos", "chosen": {"image_size": 24, "glimpses": 3}}
    (built / "provenance.json").write_text(json.dumps(record))
    task = get_task(as_built(photos, built, {}))
    assert (task.image_size, task.T) == (24, 3)
    assert get_task(as_built(f"{photos}?image_size=24&glimpses=3", None, {})) == task
    assert as_built("fashion-mnist", built, {}) == "fashion-mnist"
    assert get_task(as_built(f"{photos}?label=*", built, {})).image_size == 24  # it has one label
    with pytest.raises(NogsError, match="image_size chooses numbers for a folder"):
        as_built("fashion-mnist", None, {"image_size": 24})


def test_sequences_of_other_images_are_called_so(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    built = tmp_path / "built"
    built.mkdir()
    (built / "provenance.json").write_text(json.dumps({"task": "birds", "chosen": {"labels": 2}}))
    with pytest.raises(NogsError, match=r"built holds sequences of birds, which .*photos cannot"):
        as_built(str(photos), built, {})
    with pytest.raises(NogsError, match="holds sequences of cluttered-digits, which do not fit"):
        load_annotations(task_of(photos), "cluttered-digits")


def test_several_tasks_are_what_each_alone_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [str(write_drawings(tmp_path / name, each=20)) for name in ("one", "two")]
    planned: list[object] = []

    def noted(task: str, *_: object) -> None:
        planned.append(task)
        if len(planned) == 2:
            raise KeyboardInterrupt  # before anything is trained

    monkeypatch.setattr("nogs_bench.evaluation.command.study_of", noted)
    settings: dict[str, Any] = {"image_size": 24, "glimpses": 3, "out": tmp_path / "out"}
    with pytest.raises(KeyboardInterrupt):
        evaluate(tasks=folders, **settings)
    assert planned == [as_built(f, None, {"image_size": 24, "glimpses": 3}) for f in folders]
    assert [get_task(spec).image_size for spec in planned] == [24, 24]
    for tasks in ("fashion-mnist", [*folders, "cluttered-*"]):
        with pytest.raises(NogsError, match="image_size chooses numbers for a folder"):
            evaluate(tasks=tasks, **settings)
    with pytest.raises(NogsError, match="give task or tasks, not both"):
        evaluate(task="fashion-mnist", tasks=folders)


def test_what_reads_a_dataset_of_ones_own_images_takes_its_numbers(tmp_path: Path) -> None:
    photos = str(write_drawings(tmp_path / "photos", each=20))
    made = source_specs(photos, image_size=24, glimpse=6, glimpses=2, minutes=1)[0]
    folder = tmp_path / "built"
    settings = {"avp.epochs": 1, "annotation.samples": 20}
    build(made, folder, posterior="bank", images=3, workers=1, anyway=True, overrides=settings)
    rows = load(folder, images=True, task=photos, split="train")
    assert rows[0]["image"].size == (24, 24)
    assert load_pictured(folder, task=photos)[0]["image"].size == (24, 24)
    card = make_publication(folder, "me/photos", photos).files["README.md"]
    assert isinstance(card, bytes)
    assert "24 x 24" in card.decode()
    # A task of these images that was changed since then is not what the rows are of.
    changed = replace(get_task(made), T=3)
    with pytest.raises(NogsError, match=r"was not built of .* as that is now .* has other columns"):
        make_publication(folder, "me/photos", changed)
