"""Mutated images of ten containers: decoded, or refused in one line; no traceback, no hang."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from nogs_bench.errors import NogsError
from nogs_bench.images import quietly, read_picture, squared

CONTAINERS = {
    "PNG": {},
    "JPEG": {"quality": 80},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "AVIF": {},
    "JPEG2000": {},
    "PPM": {},
    "TGA": {"compression": "tga_rle"},
}
LONGEST = 20.0  # seconds of processor time for one image


def originals(container: str) -> list[bytes]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (24, 20, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for mode in ("RGB", "L", "P", "RGBA"):
        buffer = io.BytesIO()
        options = dict(CONTAINERS[container])
        if container in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF"):
            options["exif"] = exif
        try:
            Image.fromarray(noise).convert(mode).save(buffer, container, **options)
        except OSError:  # a mode that the container does not have
            continue
        files.append(buffer.getvalue())
    return files


def mutations(container: str, count: int) -> Iterator[bytes]:
    """Bytes changed, cut out, put in, doubled and swapped, most of them near the start."""
    files, rng = originals(container), np.random.default_rng(list(container.encode()))
    for number in range(count):
        content = bytearray(files[number % len(files)])
        for _ in range(int(rng.integers(1, 6))):
            if not content:
                break
            reach = len(content) if rng.random() < 0.5 else min(len(content), 200)
            at, length = int(rng.integers(reach)), int(rng.integers(1, 16))
            piece = rng.integers(0, 256, length).astype(np.uint8).tobytes()
            kind = int(rng.integers(6))
            if kind == 0:
                content[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                content[at : at + length] = piece
            elif kind == 2:
                del content[at : at + length]
            elif kind == 3:
                content[at:at] = piece
            elif kind == 4:
                content[at : at + 4] = b"\xff" * 4
            else:
                del content[max(at, 8) :]
        sealed = container == "PNG" and number % 2
        yield with_checksums(content) if sealed else bytes(content) or b"\0"


def with_checksums(png: bytearray) -> bytes:
    """With every chunk's checksum made right, or nothing behind the first would ever be read."""
    at = 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            break
        png[end : end + 4] = zlib.crc32(png[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(png)


def check(container: str, count: int) -> None:
    decoded = refused = 0
    with quietly():
        for number, content in enumerate(mutations(container, count)):
            began = time.process_time()
            line = None
            try:
                pixels = squared(read_picture(content, 3, f"{container} {number}"), 16)
            except NogsError as error:
                line = str(error)
            if line is None:
                assert pixels.shape == (3, 16, 16)
                assert pixels.dtype == np.uint8
                decoded += 1
            else:
                assert "\n" not in line
                assert line.startswith(f"{container} {number} cannot be read as an image")
                refused += 1
            assert time.process_time() - began < LONGEST, number
    assert refused > count / 20  # the mutations are not harmless
    assert decoded > 0 or count < 1000  # nor do all of them kill


@pytest.mark.parametrize("container", CONTAINERS)
def test_some_mutated_images(container: str) -> None:
    check(container, 60)


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
def test_ten_thousand_mutated_images(container: str) -> None:
    check(container, 1000)
