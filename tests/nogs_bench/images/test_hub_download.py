"""`hf:OWNER/NAME` from a Hub on loopback: commit, card, cache; and no Hub at all."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image

from hub_double import Hub, Repo, running
from processes import client, python

NAME = "birds/harbour"
CARD = "---\nlicense: cc-by-4.0\n---\n# Birds\n\n```bibtex\n@misc{birds,\n  title={B}}\n```\n"
LOOK = f"""
import json, sys
import nogs_bench
task = nogs_bench.task_of("hf:{NAME}" + sys.argv[1])
rows = task.source.load("test")
print(json.dumps({{
    "revision": task.source.revision,
    "licence": task.images_licence,
    "ships": task.images_may_ship,
    "caveats": task.caveats,
    "summary": task.source.summary,
    "from": task.source_datasets,
    "test": sorted(rows.images[:, 0, 4, 4].tolist()),
    "splits": vars(task.splits),
}}))
"""


def parquet(numbers: range) -> bytes:
    pictures = []
    for number in numbers:
        file = io.BytesIO()
        Image.fromarray(np.full((20, 20, 3), (number, 0, 9), np.uint8)).save(file, "PNG")
        pictures.append({"bytes": file.getvalue(), "path": None})
    features = Features({"image": ImageFeature(), "kind": ClassLabel(names=["tern", "gull"])})
    rows = Dataset.from_dict(
        {"image": pictures, "kind": [number % 2 for number in numbers]}, features=features
    )
    out = io.BytesIO()
    rows.to_parquet(out)
    return out.getvalue()


def contents(test: range) -> dict[str, bytes]:
    return {
        "README.md": CARD.encode(),
        "data/train-00000-of-00001.parquet": parquet(range(60)),
        "data/test-00000-of-00001.parquet": parquet(test),
    }


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        repo = hub.repos[NAME] = Repo(private=False)
        repo.tags["v1"] = repo.commit("first", contents(range(60, 72)))
        repo.commit("other birds", contents(range(80, 90)))
        yield hub


def look(url: str, home: Path, at: str = "", **more: str) -> dict[str, Any]:
    done = python(LOOK, client(url, home, None) | more, home, at)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dataset_is_pinned_to_a_commit_and_kept(hub: Hub, tmp_path: Path) -> None:
    newest, first = hub.repos[NAME].commits[-1][0], hub.repos[NAME].tags["v1"]
    found = look(hub.url, tmp_path)
    assert found["revision"] == newest
    assert newest in found["summary"]
    assert (found["licence"], found["ships"]) == ("cc-by-4.0", True)
    assert "@misc{birds, title={B}}" in found["caveats"][0]
    assert found["from"] == [f"extended|{NAME}"]
    assert found["test"] == list(range(80, 90))
    assert (found["splits"]["test"], found["splits"]["train"]) == (10, 48)
    old = look(hub.url, tmp_path, "@v1")
    assert (old["revision"], old["test"]) == (first, list(range(60, 72)))
    asked = len(hub.requests)
    assert look(hub.url, tmp_path, HF_HUB_OFFLINE="1") == found
    assert look(hub.url, tmp_path, f"@{first}", HF_HUB_OFFLINE="1") == old
    assert len(hub.requests) == asked


def test_what_cannot_be_had_is_one_line(hub: Hub, tmp_path: Path) -> None:
    for url, at, more, said in (
        (hub.url, "s", {}, "dataset birds/harbours cannot be had: "),
        (hub.url, "@v9", {}, "dataset birds/harbour cannot be had: "),
        ("http://127.0.0.1:9", "", {}, "no dataset birds/harbour: http://127.0.0.1:9 is out of"),
        (hub.url, "", {"HF_HUB_OFFLINE": "1"}, "dataset birds/harbour"),
    ):
        done = python(LOOK, client(url, tmp_path, None) | more, tmp_path, at)
        assert done.returncode
        line = done.stderr.strip().splitlines()[-1]
        assert line.startswith(f"nogs_bench.errors.NogsError: {said}"), done.stderr
