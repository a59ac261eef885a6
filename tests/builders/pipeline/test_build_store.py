"""A build kept in a dataset repository of a Hub on loopback, as `hf://datasets/OWNER/NAME`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builds import SETTINGS, files
from hub_double import ATTRIBUTES, Hub, Repo, running
from nogs_bench.builders.pipeline.command import build
from processes import client, python
from tiny import corner_task

URL = "hf://datasets/nogs/store/here"
BUILD = """
import sys
from nogs_bench.builders.pipeline.command import build
from builds import SETTINGS
from tiny import corner_task
build(corner_task(), sys.argv[1], store=sys.argv[2], **SETTINGS)
"""
LOAD = """
import sys
import nogs_bench
print(sum(nogs_bench.load(sys.argv[1], "annotations", split="train")["annotated"]))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Holds an empty repository."""
    with running() as hub:
        hub.repos["nogs/store"] = Repo(private=True)
        hub.repos["nogs/store"].commit("initial commit", {".gitattributes": ATTRIBUTES})
        yield hub


@pytest.mark.slow
def test_another_machine_goes_on_from_a_repository(hub: Hub, tmp_path: Path) -> None:
    alone = files(build(corner_task(), tmp_path / "alone", **SETTINGS))
    env = client(hub.url, tmp_path / "home") | {"NOGS_BENCH_CACHE": str(tmp_path / "cache")}
    for machine in ("first", "second"):
        done = python(BUILD, env, tmp_path, tmp_path / machine, URL)
        assert done.returncode == 0, done.stderr
        assert files(tmp_path / machine) == alone
        kept, _, titles = hub.repos["nogs/store"].state
        if machine == "first":
            shards = [name for name in kept if "/sequences-" in name]
            assert len(shards) == 3
            lost = shards[1]
            del kept[lost]
    # The second made the lost shard alone, and the dataset.
    made = [title for title in titles if "/sequences-" in title]
    assert len(made) == 4
    assert [lost in title for title in made].count(True) == 2
    loaded = python(LOAD, env, tmp_path, URL)
    assert loaded.stdout.split()[-1] == "50", loaded.stderr


def test_a_repository_that_may_not_be_written_to_is_one_line(hub: Hub, tmp_path: Path) -> None:
    for token, url in (("hf_other", URL), (None, URL.replace("store", "nowhere"))):
        env = client(hub.url, tmp_path / "home", token)
        done = python(BUILD, env, tmp_path, tmp_path / "out", url)
        assert done.returncode != 0
        assert f"NogsError: {url} cannot be used" in done.stderr
        assert not (tmp_path / "out").exists()
