"""The right pixels of every kind of image, by every way in; expected ones without our decoder."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from nogs_bench.builders.generators.generator import Setting, open_generator
from nogs_bench.builders.prepare.raw import FileChunk, ParquetChunk
from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror
from nogs_bench.images import ImageFolder, read_picture
from tiny import corner_task

SIDE = 8
RAMP = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
GREY = (RAMP * 4).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=-1)
ALPHA = np.where(RAMP % 3, 255, 0).astype(np.uint8)
HALF = np.full((SIDE, SIDE), 128, np.uint8)


def encoded(image: Image.Image, container: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def png(depth: int, colour: int, rows: list[bytes], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, 8 pixels a row; `rows` without their filter bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [chunk(b"IHDR", header), *(chunk(*each) for each in chunks), chunk(b"IDAT", data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def tiff(bits: int, photometric: int, data: bytes, sample_format: int = 1) -> bytes:
    """A grey TIFF written by hand, little-endian, one strip."""
    tags = {
        256: SIDE,
        257: SIDE,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: SIDE,
        279: len(data),
        339: sample_format,
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def over(pixels: np.ndarray, alpha: np.ndarray, white: float = 255.0) -> np.ndarray:
    """Laid on white: a p + (1 - a) 255."""
    share = (alpha / 255.0)[..., None] if pixels.ndim == 3 else alpha / 255.0
    return pixels * share + white * (1 - share)


def luma(colour: np.ndarray) -> np.ndarray:
    """ITU-R 601-2."""
    return colour @ np.array([0.299, 0.587, 0.114])


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


DEEP = (RAMP * 1000).astype(np.uint16)
BIG_ENDIAN = [row.astype(">u2").tobytes() for row in DEEP]
PALETTE = np.random.default_rng(0).integers(0, 256, (64, 3)).astype(np.uint8)


def paletted() -> Image.Image:
    image = Image.fromarray(RAMP.astype(np.uint8), "P")
    image.putpalette(PALETTE.tobytes())
    return image


def flat(mode: str, value: Any) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), value)


def cmyk() -> Image.Image:
    return Image.fromarray(np.dstack([255 - COLOUR, np.zeros_like(GREY)]), "CMYK")


# name -> (suffix, file, expected colour (8, 8, 3) as floats, tolerance in pixel values)
Kind = tuple[str, Callable[[], bytes], np.ndarray, float]
KINDS: dict[str, Kind] = {
    "1 png": (
        "png",
        lambda: encoded(Image.fromarray(RAMP % 2 == 1), "PNG"),
        three(255.0 * (RAMP % 2)),
        0,
    ),
    "L png": ("png", lambda: encoded(Image.fromarray(GREY), "PNG"), three(GREY), 0),
    "L bmp": ("bmp", lambda: encoded(Image.fromarray(GREY), "BMP"), three(GREY), 0),
    "L gif": ("gif", lambda: encoded(Image.fromarray(GREY), "GIF"), three(GREY), 0),
    "L tga": ("tga", lambda: encoded(Image.fromarray(GREY), "TGA"), three(GREY), 0),
    "L jpeg": (
        "jpg",
        lambda: encoded(Image.fromarray(GREY), "JPEG", quality=100),
        three(GREY),
        6,
    ),
    "RGB png": ("png", lambda: encoded(Image.fromarray(COLOUR), "PNG"), COLOUR, 0),
    "RGB tiff": ("tif", lambda: encoded(Image.fromarray(COLOUR), "TIFF"), COLOUR, 0),
    "RGB ppm": ("ppm", lambda: encoded(Image.fromarray(COLOUR), "PPM"), COLOUR, 0),
    "RGB webp": (
        "webp",
        lambda: encoded(Image.fromarray(COLOUR), "WEBP", lossless=True),
        COLOUR,
        0,
    ),
    "RGB jpeg 2000": ("jp2", lambda: encoded(Image.fromarray(COLOUR), "JPEG2000"), COLOUR, 1),
    "P png": ("png", lambda: encoded(paletted(), "PNG"), PALETTE[RAMP], 0),
    "P gif": ("gif", lambda: encoded(paletted(), "GIF"), PALETTE[RAMP], 0),
    "P png, one clear": (
        "png",
        lambda: encoded(paletted(), "PNG", transparency=5),
        np.where((RAMP == 5)[..., None], 255, PALETTE[RAMP]),
        0,
    ),
    "P png, half clear": (
        "png",
        lambda: encoded(paletted(), "PNG", transparency=bytes([128] * 64)),
        over(PALETTE[RAMP], HALF),
        1,
    ),
    "P gif, one clear": (
        "gif",
        lambda: encoded(paletted(), "GIF", transparency=5),
        np.where((RAMP == 5)[..., None], 255, PALETTE[RAMP]),
        0,
    ),
    "RGBA png": (
        "png",
        lambda: encoded(Image.fromarray(np.dstack([COLOUR, ALPHA])), "PNG"),
        over(COLOUR, ALPHA),
        0,
    ),
    "RGBA webp": (
        "webp",
        lambda: encoded(
            Image.fromarray(np.dstack([COLOUR, HALF])), "WEBP", lossless=True, exact=True
        ),
        over(COLOUR, HALF),
        1,
    ),
    "RGBA tiff": (
        "tiff",
        lambda: encoded(Image.fromarray(np.dstack([COLOUR, HALF])), "TIFF"),
        over(COLOUR, HALF),
        1,
    ),
    "RGBA gif": (
        "gif",
        lambda: encoded(Image.fromarray(np.dstack([np.zeros_like(COLOUR), ALPHA])), "GIF"),
        over(np.zeros_like(COLOUR), ALPHA),
        0,
    ),
    "LA png": (
        "png",
        lambda: encoded(Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), "PNG"),
        three(over(GREY, ALPHA)),
        0,
    ),
    "PA tiff": (
        "tif",
        lambda: encoded(Image.merge("PA", (flat("L", 1), flat("L", 0))), "TIFF"),
        np.full((SIDE, SIDE, 3), 255),
        0,
    ),
    "L png, one grey clear": (
        "png",
        lambda: encoded(Image.fromarray(GREY), "PNG", transparency=20),
        three(np.where(GREY == 20, 255, GREY)),
        0,
    ),
    "RGB png, one colour clear": (
        "png",
        lambda: encoded(Image.fromarray(COLOUR), "PNG", transparency=tuple(COLOUR[3, 3].tolist())),
        np.where((COLOUR[3, 3] == COLOUR).all(-1)[..., None], 255, COLOUR),
        0,
    ),
    "2-bit grey png, one clear": (
        "png",
        lambda: png(2, 0, [bytes([0b00011011] * 2)] * SIDE, (b"tRNS", b"\0\1")),
        three(np.tile([0, 255, 170, 255], (SIDE, 2))),
        0,
    ),
    "16-bit grey png": ("png", lambda: png(16, 0, BIG_ENDIAN), three(DEEP / 257.0), 0.51),
    "16-bit grey png, one clear": (
        "png",
        lambda: png(16, 0, BIG_ENDIAN, (b"tRNS", struct.pack(">H", 3000))),
        three(np.where(DEEP == 3000, 255, DEEP / 257.0)),
        0.51,
    ),
    "16-bit grey and alpha png": (
        "png",
        lambda: png(
            16, 4, [np.stack([r, np.full(8, 65535)], -1).astype(">u2").tobytes() for r in DEEP]
        ),
        three(DEEP / 257.0),
        1,
    ),
    "16-bit colour png": (
        "png",
        lambda: png(16, 2, [three(row[None])[0].astype(">u2").tobytes() for row in DEEP]),
        three(DEEP / 257.0),
        1,
    ),
    "16-bit tiff": (
        "tif",
        lambda: encoded(Image.fromarray(DEEP), "TIFF"),
        three(DEEP / 257.0),
        0.51,
    ),
    "16-bit tiff, white is 0": (
        "tif",
        lambda: tiff(16, 0, DEEP.astype("<u2").tobytes()),
        three(255 - DEEP / 257.0),
        0.51,
    ),
    "16-bit big-endian tiff": (
        "tif",
        lambda: encoded(
            Image.frombytes("I;16B", (SIDE, SIDE), DEEP.astype(">u2").tobytes()), "TIFF"
        ),
        three(DEEP / 257.0),
        0.51,
    ),
    "12-bit tiff": (
        "tif",
        lambda: tiff(
            12,
            1,
            b"".join(
                bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255])
                for a, b in (RAMP * 64).reshape(-1, 2).tolist()
            ),
        ),
        three(RAMP * 64 * 255 / 4095.0),
        0.51,
    ),
    "16-bit pgm": (
        "pgm",
        lambda: b"P5 8 8 65535\n" + DEEP.astype(">u2").tobytes(),
        three(DEEP / 257.0),
        0.51,
    ),
    "10-bit pgm": (
        "pgm",
        lambda: b"P5 8 8 1023\n" + (RAMP * 16).astype(">u2").tobytes(),
        three(RAMP * 16 * 255 / 1023.0),
        0.51,
    ),
    "16-bit jpeg 2000": (
        "jp2",
        lambda: encoded(Image.fromarray(DEEP), "JPEG2000"),
        three(DEEP / 257.0),
        1,
    ),
    "float tiff": (
        "tif",
        lambda: encoded(Image.fromarray((RAMP / 63).astype(np.float32)), "TIFF"),
        three(RAMP / 63 * 255.0),
        0.51,
    ),
    "pfm": (
        "pfm",
        lambda: encoded(Image.fromarray((RAMP / 63).astype(np.float32)), "PPM"),
        three(RAMP / 63 * 255.0),
        0.51,
    ),
    "CMYK tiff": ("tif", lambda: encoded(cmyk(), "TIFF"), COLOUR, 1),
    "CMYK jpeg": (
        "jpg",
        lambda: encoded(flat("CMYK", (0, 255, 255, 0)), "JPEG", quality=100),
        np.broadcast_to([255, 0, 0], (SIDE, SIDE, 3)),
        3,
    ),
    "YCbCr tiff": (
        "tif",
        lambda: encoded(flat("YCbCr", (76, 85, 255)), "TIFF", compression="tiff_deflate"),
        np.broadcast_to([254, 0, 0], (SIDE, SIDE, 3)),
        2,
    ),
    "RGB avif": (
        "avif",
        lambda: encoded(flat("RGB", (200, 100, 50)), "AVIF", quality=100),
        np.broadcast_to([200, 100, 50], (SIDE, SIDE, 3)),
        3,
    ),
}
REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "32-bit tiff": (
        "tif",
        lambda: encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        "white is not known for integers of 32 bits",
    ),
    "float tiff to 255": (
        "tif",
        lambda: encoded(Image.fromarray((RAMP * 4).astype(np.float32)), "TIFF"),
        r"floats lie in 0 \.\. 252",
    ),
    "float tiff with NaN": (
        "tif",
        lambda: encoded(flat("F", float("nan")), "TIFF"),
        r"floats lie in nan",
    ),
    "signed 16-bit tiff": ("tif", lambda: tiff(16, 1, bytes(128), 2), "white is not known"),
    "LAB tiff": ("tif", lambda: encoded(flat("LAB", (100, 0, 0)), "TIFF"), "mode LAB is not known"),
    "16-bit colour with a clear one": (
        "png",
        lambda: png(16, 2, [bytes(48)] * SIDE, (b"tRNS", bytes(6))),
        "16-bit colour with a transparent one",
    ),
    "eps": ("png", lambda: encoded(Image.fromarray(COLOUR), "EPS"), "EPS is not decoded"),
    "empty": ("png", lambda: b"", "the file is empty"),
    "text": ("png", lambda: b"no image", "damaged, or of a format"),
    "cut": ("png", lambda: encoded(Image.fromarray(COLOUR), "PNG")[:-60], "[Tt]runcated"),
}
ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def by_folder(path: Path, channels: int) -> np.ndarray:
    """The image of `path`, beside others, through `ImageFolder`."""
    root = path.parent.parent / "classes"
    for number, name in enumerate(("a", "b")):
        (root / name).mkdir(parents=True)
        for other in range(4):
            flat("L", 200 + 10 * other + number).save(root / name / f"{other}.png")
    (root / "a" / f"x{path.suffix}").write_bytes(path.read_bytes())
    for other in range(4):
        (root / "a" / f"{other}.png").unlink()
        flat("L", 100 + other).save(root / "a" / f"{other}.png")
    source = ImageFolder(root, SIDE, channels)
    flats = {100, 101, 102, 103, *range(200, 240)}
    for split in ("train", "validation", "test", "avp_validation"):
        rows = source.load(split)
        for image in rows.images[rows.labels[:, 0] == 0]:
            if len(set(image.ravel().tolist())) > 1 or int(image[0, 0, 0]) not in flats:
                return image
    raise AssertionError("the image is not there")


def by_bank(path: Path, channels: int) -> np.ndarray:
    task = corner_task(channels=channels, grid=_grid())
    setting = Setting(task, None, 0, "cpu", lambda: None, path.parent, Mirror(path.parent))
    return open_generator(f"folder:{path.parent}", setting).sample(0, 0, 1).images[0]


def by_dataset(path: Path, channels: int) -> np.ndarray:
    from datasets import Dataset, Features
    from datasets import Image as ImageFeature

    cells = {"image": [{"bytes": path.read_bytes(), "path": None}]}
    file = path.parent.parent / "rows" / "train.parquet"
    Dataset.from_dict(cells, features=Features({"image": ImageFeature()})).to_parquet(file)
    task = corner_task(channels=channels, grid=_grid())
    setting = Setting(task, None, 0, "cpu", lambda: None, path.parent, Mirror(path.parent))
    return open_generator(f"dataset:{file.parent}", setting).sample(0, 0, 1).images[0]


def by_prepare(path: Path, channels: int) -> np.ndarray:
    return next(FileChunk((0,), (path,)).read(SIDE))


def by_parquet(path: Path, channels: int) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = path.parent.parent / "x.parquet"
    pq.write_table(pa.table({"image": [{"bytes": path.read_bytes(), "path": None}]}), file)
    return next(ParquetChunk((0,), file, 0).read(SIDE))


def _grid() -> Any:
    from nogs_bench.tasks import GlimpseGrid

    return GlimpseGrid.even(SIDE, 4, 4)


COLOUR_WAYS = (by_folder, by_bank, by_dataset, by_prepare, by_parquet)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_by_every_way(kind: str, tmp_path: Path) -> None:
    suffix, make, expected, tolerance = KINDS[kind]
    path = tmp_path / "one" / f"x.{suffix}"
    path.parent.mkdir()
    path.write_bytes(make())
    ways = {way.__name__: way(path, 3).transpose(1, 2, 0) for way in COLOUR_WAYS}
    for way, found in ways.items():
        np.testing.assert_allclose(found.astype(float), expected, atol=tolerance, err_msg=way)
    grey = np.asarray(read_picture(path, 1))
    np.testing.assert_allclose(grey.astype(float), luma(expected), atol=tolerance + 1)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_right_pixels_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    suffix, make, why = REFUSED[kind]
    path = tmp_path / "one" / f"x.{suffix}"
    path.parent.mkdir()
    path.write_bytes(make())
    for way in (by_folder, by_bank, by_prepare):
        with pytest.raises(NogsError, match=rf"x\.{suffix} cannot be read as an image.*{why}") as e:
            way(path, 3)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("container", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_cameras_are_heeded_by_every_way(container: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    blocks = np.kron(np.array([[0, 85], [170, 255]], np.uint8), np.ones((4, 4), np.uint8))
    options = {"quality": 100} if container == "JPEG" else {}
    options |= {"lossless": True} if container == "WEBP" else {}
    path = tmp_path / "one" / f"x.{container.lower()}"
    path.parent.mkdir()
    path.write_bytes(encoded(Image.fromarray(three(blocks)), container, exif=exif, **options))
    expected = ORIENTED[orientation](three(blocks))
    for way in COLOUR_WAYS:
        found = way(path, 3).transpose(1, 2, 0).astype(float)
        np.testing.assert_allclose(found, expected, atol=3, err_msg=way.__name__)


def test_odd_sizes_are_cut_alike_by_every_way(tmp_path: Path) -> None:
    """Against Pillow's own `fit`, which cuts to the middle exactly."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (19, 26, 3), np.uint8))
    expected = np.asarray(ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS))
    path = tmp_path / "one" / "x.png"
    path.parent.mkdir()
    picture.save(path)
    for way in COLOUR_WAYS:
        np.testing.assert_array_equal(way(path, 3).transpose(1, 2, 0), expected, way.__name__)


def test_a_task_says_what_is_behind_transparent_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            drawing = np.zeros((SIDE, SIDE, 4), np.uint8)
            drawing[2:4, : number + 1] = (255, 255, 0, 255)
            drawing[5, 5, :] = (ord(name), 0, 0, 255)
            Image.fromarray(drawing).save(tmp_path / name / f"{number}.png")
    black = ImageFolder(tmp_path, SIDE, background=(0, 0, 0)).load("train").images
    white = ImageFolder(tmp_path, SIDE).load("train").images
    assert black[:, :, 0, 0].max() == 0
    assert white[:, :, 0, 0].min() == 255


def test_text_where_exif_has_a_number_harms_nothing(tmp_path: Path) -> None:
    """Pillow raises `struct.error` when it writes such EXIF back to turn an image."""
    width = struct.pack("<HHI4s", 0x0100, 2, 4, b"big")
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + width + orientation + bytes(4)
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded(Image.fromarray(COLOUR), "JPEG", quality=100, exif=exif))
    with Image.open(path) as image, pytest.raises(struct.error):
        ImageOps.exif_transpose(image)
    upright = np.asarray(read_picture(path, 3)).astype(float)
    assert np.abs(upright[:2, :2].mean((0, 1)) - COLOUR[-2:, -2:].mean((0, 1))).max() < 20


@pytest.mark.parametrize(
    "error",
    [struct.error, RuntimeError, NotImplementedError, AttributeError, KeyError, MemoryError],
)
def test_whatever_a_decoder_raises_is_one_line(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("two\nlines")

    path = tmp_path / "x.png"
    Image.fromarray(COLOUR).save(path)
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(NogsError, match=r"x\.png cannot be read as an image") as caught:
        read_picture(path, 3)
    assert "\n" not in str(caught.value)
