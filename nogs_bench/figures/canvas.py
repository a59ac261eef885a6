"""Figures as files, in one style and two formats, and pixels within a page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import replacing

FORMATS = (".png", ".svg")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "nogs-bench",
    "savefig.facecolor": "white",
}


def require_figure(out: Path) -> None:
    """Raise `NogsError` unless `out` is a `.png` or `.svg` file, before what it shows is made."""
    if out.suffix not in FORMATS:
        raise NogsError(f"--out {out}: a figure is written as {' or '.join(FORMATS)}")


@contextmanager
def drawing(out: Path, size: tuple[float, float]) -> Iterator[Any]:
    """A matplotlib figure, written to `out` when the block ends without error, whole or not at all.

    `size`: width and height in inches, before margins are cut. Raises `NogsError` unless `out` is
    a `.png` or `.svg` file. Equal drawings give equal bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    require_figure(out)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=150)
        yield figure
        metadata = {"Date": None} if out.suffix == ".svg" else {"Software": "nogs-bench"}
        with replacing(out) as temporary:
            figure.savefig(temporary, bbox_inches="tight", pad_inches=0.08, metadata=metadata)


def png_address(pixels: np.ndarray) -> str:
    """A `data:` address of uint8 pixels (rows, cols) or (rows, cols, 3)."""
    from PIL import Image

    out = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", optimize=True)
    return address(out.getvalue())


def address(png: bytes) -> str:
    """A `data:` address of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
