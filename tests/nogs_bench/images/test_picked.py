"""Images picked from a memory-mapped file stay there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nogs_bench.images import LabelledImages, mapping_of, open_array, picked


def test_picked_images_read_as_the_array_would(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(700, 3, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    whole = LabelledImages(open_array(tmp_path / "images.npy"), np.arange(700)[:, None])
    rows = rng.permutation(700)[:600]
    lazy, plain = picked(whole, rows), LabelledImages(pixels[rows], rows[:, None])
    assert not isinstance(lazy.images, np.ndarray)
    assert lazy.images.shape == plain.images.shape
    assert len(lazy) == 600
    for index in (slice(5, 20, 3), np.array([9, 2, 2]), slice(None)):
        np.testing.assert_array_equal(lazy.images[index], plain.images[index])
        np.testing.assert_array_equal(lazy[index].labels, plain[index].labels)
        assert mapping_of(lazy.images[index]) is None
        part = (index, slice(None), 2, slice(1, 3))
        np.testing.assert_array_equal(lazy.images[part], plain.images[part])
    np.testing.assert_array_equal(lazy.images[3], plain.images[3])
    np.testing.assert_array_equal(np.asarray(lazy.images), plain.images)
    assert lazy.digest() == plain.digest()


def test_images_in_memory_are_picked_as_they_are() -> None:
    whole = LabelledImages(np.zeros((4, 1, 2, 2), np.uint8), np.arange(4)[:, None])
    part = picked(whole, np.array([2, 0]))
    assert isinstance(part.images, np.ndarray)
    assert part.labels[:, 0].tolist() == [2, 0]
