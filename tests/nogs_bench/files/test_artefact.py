from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import SafetensorError

from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import (
    PROVENANCE,
    Provenance,
    digest_file,
    digest_json,
    package_version,
    read_provenance,
    replacing,
    write_json,
)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"b": 1, "a": [1.5, None]})
    assert json.loads(path.read_text()) == {"a": [1.5, None], "b": 1}
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_write_that_failed(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def fill_disk() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        full.write(b"more")


def fill_disk_as_safetensors_says_it() -> None:
    raise SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("fill", [fill_disk, fill_disk_as_safetensors_says_it])
def test_a_full_disk_is_named_with_the_path(tmp_path: Path, fill: Callable[[], None]) -> None:
    path = tmp_path / "a.npy"

    def overflow() -> None:
        with replacing(path):
            fill()

    with pytest.raises(OSError, match="No space left") as full:
        overflow()
    assert full.value.errno == errno.ENOSPC
    assert full.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_nan_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


RECORD = {
    "task": "corner",
    "task_version": 1,
    "digest": "0",
    "nogs_bench": "0.1.0",
    "origin": "a test",
    "annotated": 0,
    "images": {"train": 1, "validation": 0, "test": 0},
    "files": {},
    "made_by": {},
    "quality": None,
    "calibration": None,
}
OTHER = {
    "task": 5,
    "annotated": "3",
    "images": {"train": "1", "validation": 0, "test": 0},
    "files": {"data/train.parquet": None},
    "made_by": [],
    "quality": "good",
    "posterior": {"files": [1]},
    "grid": [],
}


def test_a_dataset_s_record_is_checked_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / PROVENANCE
    write_json(path, RECORD)
    assert read_provenance(tmp_path, whole=True) == RECORD
    write_json(path, {"task": "corner"})
    assert read_provenance(tmp_path) == {"task": "corner"}
    for name in RECORD:
        write_json(path, {key: value for key, value in RECORD.items() if key != name})
        assert name not in read_provenance(tmp_path)
        with pytest.raises(NogsError, match=f"damaged in {name}; build or download the dataset"):
            read_provenance(tmp_path, whole=True)
    for name, value in OTHER.items():
        write_json(path, RECORD | {name: value})
        with pytest.raises(NogsError, match=f"damaged in {name}; build or download the dataset"):
            read_provenance(tmp_path)
    write_json(path, RECORD | {"images": {"train": 1}})
    with pytest.raises(NogsError, match="damaged in images"):
        read_provenance(tmp_path, whole=True)


def test_digests_are_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_file(path) == known
    assert digest_json({"b": 1, "a": "x"}) == hashlib.sha256(b'{"a":"x","b":1}').hexdigest()


def test_every_input_changes_the_key() -> None:
    first = Provenance("bank", {"images": 3}, 0, {})
    others = [
        replace(first, stage="avp"),
        replace(first, config={"images": 4}),
        replace(first, seed=1),
        replace(first, parents={"bank": "0" * 64}),
    ]
    assert len({provenance.key for provenance in [first, *others]}) == 5
    assert replace(first).key == first.key
    record = first.record(digest="d")
    assert record["key"] == first.key
    assert record["version"] == package_version()
    assert record["digest"] == "d"
