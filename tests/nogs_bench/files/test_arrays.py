"""Arrays of a safetensors file, memory-mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nogs_bench.errors import NogsError
from nogs_bench.files import map_arrays, read_arrays, write_arrays


def test_mapped_arrays_are_the_files_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "images": rng.integers(256, size=(5, 3, 4, 4), dtype=np.uint8),
        "odd": rng.integers(256, size=3, dtype=np.uint8),
        "labels": rng.integers(-9, 9, size=(5, 2)),
        "nats": rng.normal(size=(2, 2)).astype(np.float32),
        "none": np.empty((0, 2)),
    }
    write_arrays(tmp_path / "a.safetensors", arrays)
    mapped = map_arrays(tmp_path / "a.safetensors")
    assert mapped.keys() == arrays.keys()
    for name, array in arrays.items():
        assert mapped[name].dtype == array.dtype
        np.testing.assert_array_equal(mapped[name], array)
    mapped["images"][:] = 0
    np.testing.assert_array_equal(
        read_arrays(tmp_path / "a.safetensors")["images"], arrays["images"]
    )


def test_files_that_are_damaged_or_absent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=r"a\.safetensors is missing or damaged"):
        map_arrays(tmp_path / "a.safetensors")
    write_arrays(tmp_path / "a.safetensors", {"x": np.arange(9)})
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[:-8])
    with pytest.raises(NogsError, match="missing or damaged"):
        map_arrays(tmp_path / "a.safetensors")
