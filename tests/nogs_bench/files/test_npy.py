"""Large new arrays, whose room on the disk is taken before anything is written to them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from nogs_bench.files import new_array, read_array, take_room

SHAPE = (300, 1000)
KEPT = hasattr(os, "posix_fallocate")


@pytest.mark.skipif(not KEPT, reason="this system takes no room beforehand")
def test_room_is_taken_before_anything_is_written(tmp_path: Path) -> None:
    """A file without its room has no blocks on the disk."""
    new_array(tmp_path / "a.npy", np.float16, SHAPE)
    with (tmp_path / "plain").open("wb") as file:
        take_room(file, 600_000, tmp_path / "plain")
    for name, size in (("a.npy", 600_128), ("plain", 600_000)):
        found = (tmp_path / name).stat()
        assert found.st_size == size
        assert found.st_blocks * 512 >= size


def test_a_new_array_is_zero_and_keeps_what_is_written(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a.npy", np.uint8, SHAPE)
    assert not array.any()
    array[7, 9] = 3
    array.flush()
    assert np.argwhere(read_array(tmp_path / "a.npy")).tolist() == [[7, 9]]


@pytest.mark.parametrize(("fault", "refused"), [(errno.ENOSPC, True), (errno.EOPNOTSUPP, False)])
def test_a_full_disk_is_said_at_once_and_nothing_is_left(
    fault: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(fault, os.strerror(fault))

    path = tmp_path / "a.npy"
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    if not refused:
        assert new_array(path, np.uint8, SHAPE).shape == SHAPE
        return
    with pytest.raises(OSError, match=r"a\.npy") as caught:
        new_array(path, np.uint8, SHAPE)
    assert caught.value.errno == fault
    assert not path.exists()
