from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nogs_bench.errors import NogsError
from nogs_bench.images.idx import read_idx
from nogs_bench.tasks import get_task


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, kind, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), st.booleans())
def test_what_was_written_is_read(folder: Path, shape: tuple[int, ...], zipped: bool) -> None:
    array = np.arange(np.prod(shape)).reshape(shape) * 7 % 256
    path = folder / ("a.gz" if zipped else "a")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    read = read_idx(path, shape)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], "cut short"),
        (GOOD + b"\0", "cut short or damaged"),
        (GOOD[:10], "not an idx file"),
        (b"", "not an idx file"),
        (b"<html>not found</html>" * 4, "not an idx file"),
        (idx(np.zeros((2, 3, 4)), kind=13), "not an idx file"),
        (idx(np.zeros((2, 12))), "not an idx file of 3 dimensions"),
        (idx(np.zeros((3, 3, 4))), r"array of \(3, 3, 4\), not \(2, 3, 4\)"),
    ],
)
def test_a_damaged_file_is_refused_by_name(folder: Path, content: bytes, message: str) -> None:
    path = folder / "bad"
    path.write_bytes(content)
    with pytest.raises(NogsError, match=message) as refused:
        read_idx(path, (2, 3, 4))
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "content", [gzip.compress(GOOD, mtime=0)[:-9], b"not gzip", gzip.compress(GOOD)[:4]]
)
def test_a_damaged_gzip_file_is_refused(folder: Path, content: bytes) -> None:
    path = folder / "bad.gz"
    path.write_bytes(content)
    with pytest.raises(NogsError, match="get the file again"):
        read_idx(path, (2, 3, 4))


def test_a_missing_file_is_refused(folder: Path) -> None:
    with pytest.raises(NogsError, match="cannot be read"):
        read_idx(folder / "absent", (1,))


def test_other_images_under_fashion_mnist_s_names_and_shapes_are_refused(folder: Path) -> None:
    """MNIST's files have the same names and shapes."""
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        labels = np.arange(count) % 10
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros((count, 28, 28))))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    for split in ("train", "test"):
        with pytest.raises(NogsError, match="are not Fashion-MNIST's, by their sha256"):
            get_task("fashion-mnist").source.load(split, folder)
