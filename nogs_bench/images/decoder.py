"""The one decoder: every image that comes in goes through `read_picture` and `squared`.

Whatever mode, depth, transparency and orientation a file has, out comes what a viewer would show,
as 8-bit grey or colour, or a `NogsError` that names the file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nogs_bench.errors import NogsError

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
MODES = {1: "L", 3: "RGB"}

# Pillow leaves these to other programs.
NOT_DECODED = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG")
# Of 8 bits a channel, or fewer.
KNOWN = (
    *("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"),
    *("LA", "PA", "RGBA", "RGBa"),  # may be transparent, as P, L and RGB with a transparent value
)
# Formats whose 16-bit (and, in Pillow's mode "I", 16-bit) pixels have a known white.
DEEP = ("PNG", "PPM", "TIFF", "JPEG2000")
DEEP_AS_32 = ("PNG", "PPM")
FLOAT = ("TIFF", "PPM")
BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION = 258, 262, 0x0112
WHITE_IS_ZERO = 0
TURNED = (
    *("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270"),
    *("TRANSVERSE", "ROTATE_90"),
)


@contextmanager
def quietly() -> Iterator[None]:
    """Without Pillow's warnings: of what matters the decoder makes an error, of the rest nothing.

    Warnings are a process's, not a thread's: wrap all threads' work at once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_picture(
    file: Path | bytes,
    channels: int,
    where: str | None = None,
    background: Colour = WHITE,
    upright: bool = True,
) -> Image:
    """The picture in a file, as a viewer shows it; of an animation, its first.

    - Integers of 16 bits are divided by 257 (of 12, by 4095 / 255); floats must lie in 0 .. 1 and
      are multiplied by 255. Other depths have no known white and are refused.
    - What is transparent shows `background`, (red, green, blue) in 0 .. 255.
    - It is turned as its EXIF orientation says, unless `upright` is False.
    - Colour profiles are not applied.

    **Arguments**

    - `file`: a path, or a file's content, which is then called `where`.
    - `channels`: 1 (grey, by ITU-R 601-2 from colour) or 3 (colour).

    **Returns** a Pillow image of mode `"L"` or `"RGB"`. Raises `NogsError`, with the file's name,
    for whatever cannot be read or is not known.
    """
    name = where or str(file)
    try:
        content = file if isinstance(file, bytes) else file.read_bytes()
        return _opened(content, channels, background, upright)
    except NogsError as error:
        raise NogsError(f"{name} cannot be read as an image ({error})") from error
    except MemoryError as error:
        raise NogsError(
            f"{name} cannot be read as an image (it does not fit in memory); remove it, or make "
            "it smaller"
        ) from error
    except Exception as error:  # what a decoder raises at a broken file may be anything
        what = " ".join((str(error) or type(error).__name__).split())
        raise NogsError(
            f"{name} cannot be read as an image ({what}); remove it, or get it again"
        ) from error


def shown(image: Image, channels: int, background: Colour = WHITE, upright: bool = True) -> Image:
    """`read_picture` for an image that Pillow has opened already, or that was never a file."""
    image.load()
    orientation = image.getexif().get(ORIENTATION, 1) if upright else 1
    opaque = _opaque(_shallow(image), background)
    if opaque.mode not in ("L", "RGB"):
        opaque = opaque.convert("RGB")
    picture = opaque if opaque.mode == MODES[channels] else opaque.convert(MODES[channels])
    if orientation in range(2, 9):
        from PIL.Image import Transpose

        picture = picture.transpose(Transpose[TURNED[orientation - 2]])
    return picture


def background_of(source: object) -> Colour:
    """The colour that a task's images were laid on where they are transparent, as its source's
    `background` says; white of a source that has none."""
    return getattr(source, "background", WHITE)


def squared(picture: Image, size: int) -> np.ndarray:
    """uint8 (channels, size, size) of a picture of mode `"L"` or `"RGB"`: its middle square,
    resized by Lanczos with antialiasing."""
    from PIL.Image import Resampling

    (width, height), side = picture.size, min(picture.size)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    if (width - side) % 2 or (height - side) % 2:
        return planes(picture.resize((size, size), Resampling.LANCZOS, box))
    # Whole pixels: those outside the square do not come in.
    return planes(picture.crop(box).resize((size, size), Resampling.LANCZOS))


def stretched(picture: Image, size: int) -> np.ndarray:
    """`squared` without the cut: all of the picture, made square by the resizing."""
    from PIL.Image import Resampling

    return planes(picture.resize((size, size), Resampling.LANCZOS))


def planes(picture: Image) -> np.ndarray:
    """uint8 (channels, height, width) of a picture of mode `"L"` or `"RGB"`."""
    array = np.asarray(picture, np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def size_of(file: Path) -> tuple[int, int]:
    """(width, height) in pixels as stored, of which only the header is read.

    Raises `NogsError` as `read_picture` does.
    """
    from PIL import Image

    try:
        with quietly(), Image.open(file) as image:
            return image.size
    except Exception as error:
        what = " ".join((str(error) or type(error).__name__).split())
        raise NogsError(f"{file} cannot be read as an image ({what}); get it again") from error


def _opened(content: bytes, channels: int, background: Colour, upright: bool) -> Image:
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise NogsError("the file is empty; remove it, or get it again")
    try:
        image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError as error:
        raise NogsError(
            "it is damaged, or of a format that Pillow does not know; remove it"
        ) from error
    if image.format in NOT_DECODED:
        raise NogsError(f"{image.format} is not decoded; save it as PNG")
    if image.format == "PNG":
        _transparent_value(image, depth=content[24])
    return shown(image, channels, background, upright)


def _transparent_value(image: Image, depth: int) -> None:
    """Bring a PNG's transparent grey to the depth that its pixels are decoded to."""
    image.load()
    value = image.info.get("transparency")
    if image.mode == "L" and isinstance(value, int) and depth < 8:
        image.info["transparency"] = value * 255 // (2**depth - 1)
    if image.mode == "RGB" and value is not None and depth == 16:
        raise NogsError("16-bit colour with a transparent one is not known; save it with alpha")


def _shallow(image: Image) -> Image:
    """With 8 bits a channel: deeper ones scaled by what their format calls white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scaled(image)
    if image.mode not in KNOWN:
        raise NogsError(f"its mode {image.mode} is not known; save it as RGB or RGBA")
    return image


def _scaled(image: Image) -> Image:
    from PIL import Image as pillow

    values, kind = np.asarray(image), image.format
    tags: Any = getattr(image, "tag_v2", {})
    if image.mode == "F":
        if kind not in (*FLOAT, None):
            raise NogsError(f"white is not known for floats in {kind}; save it with 8 or 16 bits")
        least, most = float(values.min()), float(values.max())
        if not 0 <= least <= most <= 1:
            raise NogsError(
                f"its floats lie in {least:g} .. {most:g}: white is known only for 0 .. 1; scale "
                "them to that, or save it with 8 or 16 bits"
            )
        white = 1.0
    elif image.mode == "I":
        if kind not in DEEP_AS_32:
            raise NogsError("white is not known for integers of 32 bits; save it with 8 or 16 bits")
        white = 65535.0
    else:
        if kind not in (*DEEP, None):
            raise NogsError(f"white is not known for 16 bits in {kind}; save it as PNG")
        bits = tags.get(BITS_PER_SAMPLE, (16,))
        white = 2.0 ** (bits[0] if isinstance(bits, tuple) else bits) - 1
    grey = np.rint(values.astype(np.float64) * (255 / white)).clip(0, 255).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    picture = pillow.fromarray(grey)
    clear = image.info.get("transparency")
    if clear is None:
        return picture
    picture.putalpha(pillow.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return picture


def _opaque(image: Image, background: Colour) -> Image:
    """Laid on `background`, if any of it may be transparent."""
    from PIL import Image as pillow

    if not image.has_transparency_data:
        return image
    below = pillow.new("RGBA", image.size, (*background, 255))
    return pillow.alpha_composite(below, image.convert("RGBA")).convert("RGB")
