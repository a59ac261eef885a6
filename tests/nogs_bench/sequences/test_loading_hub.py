"""Datasets from a Hub on loopback, in processes and caches of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_double import Hub, Repo, running
from nogs_bench.sequences.finding import SHIPPED
from processes import client, python

DIGITS = SHIPPED / "cluttered-digits"
NAME = "nogs/digits"
FIRST = """
import json, sys
import nogs_bench
rows = nogs_bench.load("nogs/digits", split="train", **json.loads(sys.argv[1]))
kept = iter(rows)  # a process that ends with it must end all the same
first = next(kept)
print(json.dumps([first["index"], first["glimpses"], getattr(first.get("image"), "size", None)]))
"""


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Holds the shipped sequences, tagged v1."""
    with running() as hub:
        repo = hub.repos[NAME] = Repo(private=False)
        repo.tags["v1"] = repo.commit("the shipped ones", contents(DIGITS))
        yield hub


def first(hub: Hub, home: Path, **options: object) -> list[object]:
    env = client(hub.url, home, None)
    done = python(FIRST, env, home, json.dumps(options))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_stream_without_a_file_of_theirs_being_kept(hub: Hub, tmp_path: Path) -> None:
    loaded = first(hub, tmp_path, images=True)
    assert loaded[0] == 0
    assert loaded[2] == [28, 28]
    kept = {path.name for path in tmp_path.rglob("*.parquet")}
    assert kept == {"train.parquet", "validation.parquet", "test.parquet"}
    home = tmp_path / "streaming"
    home.mkdir()
    assert first(hub, home, images=True, streaming=True) == loaded
    assert not list(home.rglob("*.parquet"))


def test_a_revision_is_what_it_was_and_the_newest_is_the_newest(hub: Hub, tmp_path: Path) -> None:
    """One cache for all three: rows that changed under the same name are not the old ones."""
    old = first(hub, tmp_path)
    files = contents(DIGITS)
    moved = files | {
        "annotations/train.parquet": files["annotations/test.parquet"],
        "provenance.json": files["provenance.json"].replace(
            json.loads(files["provenance.json"])["files"]["annotations/train.parquet"].encode(),
            json.loads(files["provenance.json"])["files"]["annotations/test.parquet"].encode(),
        ),
    }
    assert hub.repos[NAME].commit("other rows, the same card", moved)
    new = first(hub, tmp_path)
    assert new != old
    assert first(hub, tmp_path, streaming=True) == new
    assert first(hub, tmp_path, revision="v1") == old
    assert first(hub, tmp_path, revision="v1", streaming=True) == old


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_that_are_not_those_recorded_are_refused(
    hub: Hub, tmp_path: Path, streaming: bool
) -> None:
    files = contents(DIGITS)
    hub.repos[NAME].commit("damage", files | {"annotations/train.parquet": b"PAR1 no more"})
    env = client(hub.url, tmp_path, None)
    done = python(FIRST, env, tmp_path, json.dumps({"streaming": streaming}))
    assert "train.parquet cannot be loaded: it is not the file whose sha256" in done.stderr


def test_what_the_hub_has_not_is_one_line(hub: Hub, tmp_path: Path) -> None:
    env = client(hub.url, tmp_path, None)
    code = """
import sys
import nogs_bench
for arguments in (("nogs/none",), ("nogs/digits", "default")):
    try:
        nogs_bench.load(*arguments)
    except nogs_bench.NogsError as error:
        print(error)
try:
    nogs_bench.load("nogs/digits", revision="v9")
except nogs_bench.NogsError as error:
    print(error)
"""
    done = python(code, env, tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith("nogs/none cannot be loaded: ")
    assert "check the name" in lines[0]
    assert lines[1] == "nogs/digits has no config 'default'; it has annotations, maps"
    assert "v9" in lines[2]


def test_a_download_serves_offline_and_by_config(hub: Hub, tmp_path: Path) -> None:
    loaded = first(hub, tmp_path)
    count = len(hub.requests)
    env = client(hub.url, tmp_path, None) | {"HF_HUB_OFFLINE": "1"}
    done = python(FIRST, env, tmp_path, "{}")
    assert json.loads(done.stdout) == loaded, done.stderr
    assert len(hub.requests) == count
    code = "import nogs_bench; nogs_bench.load('nogs/digits', 'maps')"
    absent = python(code, env, tmp_path).stderr.splitlines()[-1]
    assert absent.startswith("nogs_bench.errors.NogsError: ")
    assert "maps/train.parquet" in absent


def test_an_evaluation_takes_sequences_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    code = """
from nogs_bench.sequences.annotations import load_annotations
from nogs_bench.tasks.task import get_task
task = get_task("cluttered-digits")
print(load_annotations(task, "nogs/digits").digest == load_annotations(task).digest)
"""
    done = python(code, client(hub.url, tmp_path, None), tmp_path)
    assert done.stdout == "True\n", done.stderr
