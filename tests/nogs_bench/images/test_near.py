"""Near copies across splits are counted, and images that only look alike are not."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from nogs_bench.images.cache import Decoded
from nogs_bench.images.folder import ImageFolder
from nogs_bench.images.labelled import picture_digest
from nogs_bench.images.near import near_copies, shape_of

SIDE = 48


def scene(number: int) -> Image.Image:
    """Dark and light patches of colour with some grain, others in each number."""
    rng = np.random.default_rng(number)
    coarse = rng.choice(np.array((30, 100, 150, 220)), (4, 4, 3))
    patches = coarse.repeat(24, 0).repeat(24, 1)
    return Image.fromarray((patches + rng.integers(-6, 7, patches.shape)).clip(0, 255).astype("u1"))


def altered(number: int) -> Image.Image:
    """The scene as another file: darker, larger or compressed."""
    picture = scene(number)
    if number % 4 == 0:
        return ImageEnhance.Brightness(picture).enhance(0.8)
    if number % 4 == 1:
        return picture.resize((180, 180))
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=70)
    return Image.open(stored)


def test_copies_in_other_light_size_or_compression_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every image of `train` has such a copy in `test`; some are drawn for validation."""
    for number in range(30):
        for split, seen, name in (
            ("train", scene(number), f"{number:02}"),
            ("test", altered(number), f"{number:02}-again"),
            ("test", scene(100 + number), f"{number:02}-other"),
        ):
            folder = tmp_path / split / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            seen.save(folder / f"{name}.png")
    images = ImageFolder(tmp_path, SIDE)
    trained, said = images.splits.train, capsys.readouterr().err
    (line,) = (line for line in said.splitlines() if "near copies" in line)
    count, total = re.search(r"at least (\d+) of the (\d+) images of test", line).groups()
    assert total == "60"
    assert 0.8 * trained <= int(count) <= trained < 30
    assert re.search(r"\(test/(.)/(\d\d)-again\.png of train/\1/\2\.png\)", line)
    assert "pixel by pixel" not in said


def as_decoded(pixels: np.ndarray) -> Decoded:
    digests = [picture_digest(image) for image in pixels]
    shapes = [shape_of(image) for image in pixels]
    return Decoded(pixels, np.arange(len(pixels)), digests, shapes, Path())


def told(pixels: np.ndarray) -> list[str]:
    """Of even ones as training images, odd ones as test images."""
    count = len(pixels)
    splits = {"train": range(0, count, 2), "validation": (), "test": range(1, count, 2)}
    return near_copies(as_decoded(pixels), [str(n) for n in range(count)], splits, "here")


def test_digits_are_no_copies_of_each_other() -> None:
    """1,797 scans of ten digits, in no colour and few pixels: as alike as different images get."""
    grey = (load_digits().images * 15.9).astype(np.uint8)
    large = np.stack([np.asarray(Image.fromarray(g).resize((32, 32))) for g in grey])[:, None]
    assert told(large) == []


def test_flat_images_are_no_copies_of_each_other() -> None:
    rng = np.random.default_rng(0)
    flat = 128 + rng.integers(-3, 4, (200, 3, SIDE, SIDE))
    assert told(flat.astype(np.uint8)) == []
    spot = np.full((40, 1, SIDE, SIDE), 255, np.uint8)  # white but for a dot
    spot[np.arange(40), 0, rng.integers(SIDE, size=40), rng.integers(SIDE, size=40)] = 0
    assert told(spot) == []


def test_the_shape_is_that_of_the_means_of_cells() -> None:
    """Left half dark, right half light: 00001111 in each row of cells; of sides not even too."""
    halves = np.zeros((3, 16, 24), np.uint8)
    halves[:, :, 12:] = 200
    assert shape_of(halves) == "0f" * 8
    stripes = np.zeros((1, 27, 27), np.uint8)
    stripes[:, 14:] = 90
    assert shape_of(stripes) == "00" * 4 + "ff" * 4
    assert shape_of(halves[:, :4]) is None
