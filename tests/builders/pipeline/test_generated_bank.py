"""Banks in shards, and builds that take theirs from a generator."""

import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nogs_bench.builders.bank import images as banks
from nogs_bench.builders.bank.images import ShardedImages, make_bank, open_bank
from nogs_bench.builders.bank.roles import assign_roles
from nogs_bench.builders.completion.kinds import fit_completion
from nogs_bench.builders.pipeline.command import build
from nogs_bench.errors import NogsError
from numbered import Numbered
from tiny import corner_images, corner_task


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(banks, "ROWS", 8)


@pytest.fixture
def on_disk(monkeypatch):
    monkeypatch.setattr(banks, "IN_MEMORY", 0)


@pytest.mark.usefixtures("small_shards", "on_disk")
def test_view_is_indexed_as_the_array(tmp_path):
    expected = Numbered().sample(5, 0, 27)
    bank = make_bank(Numbered(), tmp_path, 5, 27)
    assert isinstance(bank.images, ShardedImages)
    assert (len(bank), bank.images.shape, bank.images.dtype) == (27, (27, 1, 4, 4), np.uint8)
    np.testing.assert_array_equal(bank.labels, expected.labels)
    for rows in (
        slice(None),
        slice(3, 20, 5),
        slice(-4, None),
        np.array([26, 0, 8, 8, 7, -1]),
        np.array([], int),
        np.arange(27) % 3 == 1,
        13,
        -2,
    ):
        found = bank.images[rows]
        assert type(found) in (np.ndarray, np.memmap)
        np.testing.assert_array_equal(found, expected.images[rows])
    with pytest.raises(IndexError):
        bank.images[np.array([27])]


@pytest.mark.usefixtures("small_shards", "on_disk")
def test_only_the_shards_that_are_asked_for_are_opened(tmp_path):
    make_bank(Numbered(), tmp_path, 5, 40)
    view = ShardedImages(tmp_path, (40, 1, 4, 4))
    view[np.array([9, 33])]
    assert sorted(view._open) == [1, 4]


@pytest.mark.usefixtures("small_shards")
def test_a_stopped_bank_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_bank(Numbered(stop_after=2), tmp_path / "a", 1, 27)
    os.truncate(tmp_path / "a" / "0000008.npy", 100)
    (tmp_path / "a" / "0000008.json").unlink()
    again = Numbered()
    stopped = make_bank(again, tmp_path / "a", 1, 27)
    assert again.asked == [(8, 8), (16, 8), (24, 3)]
    whole = make_bank(Numbered(), tmp_path / "b", 1, 27)
    assert stopped.digest() == whole.digest()
    np.testing.assert_array_equal(stopped.images, whole.images)
    assert make_bank(Numbered(), tmp_path / "c", 2, 27).digest() != whole.digest()


@pytest.mark.usefixtures("small_shards")
def test_shards_are_recorded_by_digest(tmp_path):
    make_bank(Numbered(), tmp_path, 1, 10)
    from hashlib import sha256

    record = json.loads((tmp_path / "0000008.json").read_text())
    for name, file in (("images", "0000008.npy"), ("labels", "0000008.labels.npy")):
        assert record[name] == sha256((tmp_path / file).read_bytes()).hexdigest()


def test_another_bank_in_the_folder_is_refused(tmp_path):
    make_bank(Numbered(), tmp_path, 1, 10)
    with pytest.raises(NogsError, match="holds another bank"):
        make_bank(Numbered(), tmp_path, 2, 10)


@pytest.mark.usefixtures("small_shards")
def test_a_missing_shard_is_named(tmp_path):
    make_bank(Numbered(), tmp_path, 1, 20)
    (tmp_path / "0000016.json").unlink()
    with pytest.raises(NogsError, match=r"0000016\.json is missing"):
        open_bank(tmp_path)


def test_a_full_disk_is_said_before_the_first_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(NogsError, match="GB free"):
        make_bank(Numbered(), tmp_path, 1, 3000)
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.usefixtures("small_shards", "on_disk")
def test_retrieval_from_shards_equals_retrieval_from_memory(tmp_path):
    images = corner_images(0, 50)

    def sample(seed, start, count):
        return images[slice(start, start + count)]

    generator = SimpleNamespace(config={}, sample=sample)
    task = corner_task()
    image = corner_images(1, 1).images[0]
    drawn = []
    for bank in (images, make_bank(generator, tmp_path, 0, 50)):
        query = fit_completion("retrieval", task, bank).query(image)
        query.observe(4)
        drawn.append(query.draw(20, np.random.default_rng(0)))
    np.testing.assert_array_equal(drawn[0].rows, drawn[1].rows)
    np.testing.assert_array_equal(drawn[0].images, drawn[1].images)


def test_a_generated_bank_leaves_the_training_images_to_the_avp():
    task = corner_task()
    seen = []

    def make(training):
        seen.append(training())
        bank = banks.Bank(*vars(corner_images(9, 20)).values(), "digest")
        return SimpleNamespace(bank=bank, record={"key": "k"}, folder=None)

    roles = assign_roles(task, 30, 0, None, make)
    assert len(roles.bank) == 20
    assert len(roles.avp(0)) == 400 - 30
    assert seen[0].digest() == roles.avp(0).digest()
    train = task.source.load("train").images.reshape(400, -1)
    trained = {row.tobytes() for row in roles.avp(0).images.reshape(370, -1)}
    assert trained == {row.tobytes() for row in train[30:]}


GENERATOR = """
import numpy as np
def labelled(seed, start, count):
    numbers = range(start, start + count)
    labels = np.array([np.random.default_rng([seed, i]).integers(4) for i in numbers])
    images = np.zeros((count, 1, 12, 12), np.uint8)
    images[:, 0, 8:, 8:] = (labels * 85)[:, None, None]
    return images, labels
def unlabelled(seed, start, count):
    return labelled(seed, start, count)[0]
"""


def test_build_from_a_generator(tmp_path):
    """The corner tells all: the first glimpse goes there, whatever the bank is made by."""
    (tmp_path / "mine.py").write_text(GENERATOR)
    task = corner_task()
    out = build(
        task,
        tmp_path / "out",
        images=4,
        posterior="bank",
        workers=1,
        device="cpu",
        bank=f"{tmp_path}/mine.py:labelled",
        bank_images=100,
    )
    provenance = json.loads((out / "provenance.json").read_text())
    text = json.dumps(provenance)
    assert "generated, 100 images" in text
    assert '"generator": "labelled"' in text
    import pyarrow.parquet as pq

    rows = pq.read_table(next((out / "annotations").glob("train*"))).slice(0, 4).to_pylist()
    assert [row["glimpses"][0] for row in rows] == [[8, 8]] * 4


def test_a_criterion_that_needs_labels_is_refused_before_any_work(tmp_path):
    (tmp_path / "mine.py").write_text(GENERATOR)
    task = corner_task()
    task = replace(task, annotation=replace(task.annotation, criterion="cross-entropy"))
    with pytest.raises(NogsError, match="needs completions with labels"):
        build(task, tmp_path / "out", images=4, bank=f"{tmp_path}/mine.py:unlabelled")
    assert not list((tmp_path / "out").rglob("*.npy"))
