"""Builds kept in a store, and inputs read from one: in memory, and S3's protocol on loopback."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

import nogs_bench
from builds import SETTINGS, files
from corner_task import CORNER
from nogs_bench.builders.bank import images as banks
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.search import shards
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.executors.local import _Process
from nogs_bench.files.store import Mirror, cache_folder, check_store, fetched, is_url
from nogs_bench.images.labelled import data_folder
from numbered import Numbered
from tiny import corner_task


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NOGS_BENCH_CACHE", str(tmp_path / "cache"))


def test_one_folder_holds_all_that_is_kept(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.txt").write_text("a")
    held = fetched((tmp_path / "far").as_uri())
    assert held.parent == cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("NOGS_BENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert cache_folder() == tmp_path / "users" / "nogs-bench"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "nogs-bench"


@pytest.fixture(scope="module")
def s3():
    """An S3 server with an empty bucket."""
    pytest.importorskip("s3fs")
    servers = pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as patch:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = servers.ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "me")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.filesystem("s3").mkdir("nogs")
        yield "s3://nogs"
        server.stop()


@pytest.fixture(params=["memory", "s3", "disk"])
def store(request, tmp_path):
    if request.param == "s3":
        url = f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    elif request.param == "memory":
        url = f"memory://{tmp_path.name}"
    else:
        url = (tmp_path / "store").as_uri()
    fs, root = fsspec.core.url_to_fs(url)
    fs.makedirs(root, exist_ok=True)
    return url


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return files(build(corner_task(), tmp_path_factory.mktemp("whole") / "corner", **SETTINGS))


def test_another_machine_goes_on_from_the_store(store, whole, tmp_path, monkeypatch, capsys):
    """The first one stops in its third shard and is lost; the second makes that one alone."""
    annotate, begun = shards._annotate, []

    def stop_in_the_third(work, shard):
        begun.append(shard.start)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return annotate(work, shard)

    monkeypatch.setattr(shards, "_annotate", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        build(corner_task(), tmp_path / "first", store=store, **SETTINGS)
    shutil.rmtree(tmp_path / "first")
    made = []
    monkeypatch.setattr(
        "nogs_bench.builders.pipeline.workspace.replacing", lambda path: made.append(path)
    )
    out = build(corner_task(), tmp_path / "second", store=store, **SETTINGS)
    assert begun == [0, 20, 40, 40]
    assert made == []
    assert files(out) == whole
    # The finished dataset is there too, and reads as the folder does.
    rows = nogs_bench.load(store, "annotations", split="train")
    assert rows["glimpses"] == nogs_bench.load(out, "annotations", split="train")["glimpses"]
    assert sum(rows["annotated"]) == 50


def test_what_is_damaged_in_a_store_is_made_again(whole, tmp_path, capsys):
    url = f"memory://{tmp_path.name}"
    build(corner_task(), tmp_path / "first", store=url, **SETTINGS)
    fs, root = fsspec.core.url_to_fs(url)
    (shard,) = (name for name in fs.find(root) if name.endswith("0000020.safetensors"))
    (stage,) = (name for name in fs.find(root) if "/bank-posterior" in name and "json" not in name)
    for name in (shard, stage):
        fs.pipe_file(name, fs.cat_file(name)[:-1] + b"?")
    capsys.readouterr()
    assert files(build(corner_task(), tmp_path / "second", store=url, **SETTINGS)) == whole
    said = capsys.readouterr().err
    assert "0000020.safetensors is damaged in the store: made again" in said
    assert "is not what was kept of it in the store: made again" in said


def test_a_bank_s_shards_come_from_the_store(tmp_path, monkeypatch):
    monkeypatch.setattr(banks, "ROWS", 8)
    url = f"memory://{tmp_path.name}"
    for folder in ("a", "b"):
        mirror = Mirror(tmp_path / folder, url)
        asked = Numbered()
        bank = banks.make_bank(asked, tmp_path / folder / "bank", 1, 20, mirror=mirror)
        assert len(asked.asked) == (3 if folder == "a" else 0)
        np.testing.assert_array_equal(bank.images, Numbered().sample(1, 0, 20).images)


def test_a_folder_is_copied_once_and_again_where_it_changed(store, tmp_path):
    fs, root = fsspec.core.url_to_fs(store)
    fs.makedirs(f"{root}/deep", exist_ok=True)
    fs.pipe_file(f"{root}/a.txt", b"one")
    fs.pipe_file(f"{root}/deep/b.txt", b"two")
    folder = data_folder(store)
    assert (folder / "a.txt").read_bytes() + (folder / "deep/b.txt").read_bytes() == b"onetwo"
    (folder / "a.txt").write_bytes(b"kept")
    assert fetched(store) == folder
    assert (folder / "a.txt").read_bytes() == b"kept"
    fs.pipe_file(f"{root}/a.txt", b"three")
    fs.rm_file(f"{root}/deep/b.txt")
    assert (fetched(store) / "a.txt").read_bytes() == b"three"
    assert not (folder / "deep/b.txt").exists()


def test_names_that_lead_out_are_refused(tmp_path, monkeypatch):
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/{tmp_path.name}/x/a.txt", b"1")
    name = f"/{tmp_path.name}/x/../../a.txt"
    monkeypatch.setattr(type(fs), "find", lambda *_, **__: {name: {"size": 1}})
    with pytest.raises(NogsError, match="leads out of its folder"):
        fetched(f"memory://{tmp_path.name}/x")
    assert not list((tmp_path / "cache").rglob("*.txt"))


def test_results_and_weights_come_from_the_store(store, tmp_path, monkeypatch):
    """Another machine scores what is there, and makes one more run from the weights that are."""
    settings = {"task": CORNER, "methods": "ram", "protocol": "pretrained", "device": "cpu"}
    settings |= {"workers": 1, "store": store}
    first = evaluate(seeds=2, out=tmp_path / "first", **settings)
    made = []
    monkeypatch.setattr("nogs_bench.evaluation.command.do_all", lambda jobs, *_: made.extend(jobs))
    again = evaluate(seeds=2, out=tmp_path / "second", **settings)
    assert made == []
    assert again.as_json() == first.as_json()
    kept = [path for path in (tmp_path / "first").iterdir() if path.is_file()]
    assert sorted(path.suffix for path in kept) == [".json"] * 2 + [".safetensors"] * 2
    for path in kept:
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes()
    evaluate(seeds=2, out=tmp_path / "figures", weights=False, **settings)
    assert not list((tmp_path / "figures").glob("*.safetensors"))
    fs, root = fsspec.core.url_to_fs(store)
    (result,) = (name for name in fs.find(root) if name.endswith("seed1.json"))
    fs.rm(result)
    with pytest.raises(NogsError, match=r"seed1\.json"):  # nobody made it
        evaluate(seeds=2, out=tmp_path / "third", **settings)
    assert [(job.stage.name, [run.config.seed for run in job.runs]) for job in made] == [
        ("run", [1])
    ]


def test_stores_that_cannot_be_used_are_one_line(tmp_path, s3):
    for url in ("s3://there-is-none/x", "nonsense://x"):
        with pytest.raises(NogsError, match="cannot be used") as caught:
            check_store(url)
        assert "\n" not in str(caught.value)
    with pytest.raises(NogsError, match="holds no files"):
        fetched("memory://nowhere")
    with pytest.raises(NogsError, match="cannot be used"):
        build(corner_task(), tmp_path / "out", store="nonsense://x", **SETTINGS)
    assert not (tmp_path / "out").exists()
    assert is_url("s3://x")
    assert not is_url(tmp_path)


@pytest.mark.slow
def test_workers_without_the_folder_use_the_store(s3, whole, tmp_path, monkeypatch):
    """Processes that find nothing where the parent has its files, as on another machine."""
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setattr("nogs_bench.executors.local._Process", elsewhere(here, there))
    url = f"{s3}/{tmp_path.name}"
    out = build(corner_task(), here, store=url, **SETTINGS | {"workers": 2})
    assert files(out) == whole
    assert len(list(there.rglob("sequences-*/*.safetensors"))) == 3
    assert len(list(there.rglob("bank-posterior*.safetensors"))) == 1


def elsewhere(here, there):
    """Workers for which the folder `here` is another one."""

    def moved(path):
        return there / path.relative_to(here)

    class Elsewhere(_Process):
        def __init__(self, load, gpu):
            stages = load.load.__self__
            their = {name: moved(path) for name, path in stages.files.items()}
            own = replace(stages, plan=replace(stages.plan, out=there), files=their)
            super().__init__(replace(load, load=own.load), gpu)

        def give(self, shard):
            mirror = replace(shard.mirror, folder=there)
            super().give(replace(shard, folder=moved(shard.folder), mirror=mirror))

    return Elsewhere
