"""A folder as an evaluation's task is what it was for the build of the sequences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drawings import write_drawings
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.own import as_built
from nogs_bench.tasks import get_task


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
    with pytest.raises(NogsError, match="image_size chooses numbers for a folder"):
        as_built("fashion-mnist", None, {"image_size": 24})
