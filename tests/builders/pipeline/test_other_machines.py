"""Workers on machines that do not share the build's folder, and have its store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from builds import files
from nogs_bench.builders.generators.gan import generator as gan
from nogs_bench.builders.pipeline import chosen, generated
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.pipeline.workspace import Workspace
from nogs_bench.builders.search import shards
from nogs_bench.files import Mirror, Provenance
from tiny import corner_task


@contextmanager
def another_disk(out: Path) -> Iterator[None]:
    """What is in the folder `out` is not there meanwhile, and what comes there is not kept."""
    aside = out.with_name(f"{out.name} of the first machine")
    out.rename(aside)
    yield
    shutil.rmtree(out)
    aside.rename(out)


def test_chosen_sequences_are_made_elsewhere(tmp_path, monkeypatch):
    task = corner_task()
    avp = replace(task.avp, network="local:4k4s4-8", rounds=1, chosen_images=3)
    task, settings = replace(task, avp=avp), {"images": 4, "workers": 1, "device": "cpu"}
    alone = files(build(task, tmp_path / "alone", **settings))
    out, annotate_all = tmp_path / "out", chosen.annotate_all

    def elsewhere(load, wanted, *others):
        with another_disk(out):
            work = load()
            for shard in wanted:
                shards._annotate(work, shard)
        with monkeypatch.context() as patch:
            patch.setattr(shards, "_annotate", None)  # all are in the store
            annotate_all(load, wanted, *others)

    monkeypatch.setattr(chosen, "annotate_all", elsewhere)
    assert files(build(task, out, store=f"memory://{tmp_path.name}", **settings)) == alone


def test_a_bank_is_drawn_elsewhere_by_the_gan_that_was_trained(tmp_path, monkeypatch):
    settings = {"images": 4, "posterior": "bank", "bank": "gan,steps=3", "bank_images": 80}
    settings |= {"workers": 1, "device": "cpu"}
    out, opened = tmp_path / "out", generated._open

    def elsewhere(plan, training):
        here = opened(plan, training)
        with another_disk(out), monkeypatch.context() as patch:
            patch.setattr(gan, "train_gan", None)
            there = opened(plan, training)
            assert there.config == here.config
        return here

    monkeypatch.setattr(generated, "_open", elsewhere)
    build(corner_task(), out, store=f"memory://{tmp_path.name}", **settings)


def test_a_store_that_is_given_late_gets_the_stages_that_are_there(tmp_path):
    made, provenance = [], Provenance("stage", {}, 0, {})

    def make(path: Path) -> None:
        made.append(path.write_bytes(b"stage"))

    here = Workspace(tmp_path, Mirror(tmp_path)).stage(provenance, ".bin", make)
    mirror = Mirror(tmp_path, f"memory://{tmp_path.name}")
    for _ in range(2):
        assert Workspace(tmp_path, mirror).stage(provenance, ".bin", make) == here
        assert mirror.held(tmp_path) == {here.name, f"{here.name}.json"}
    assert len(made) == 1
