"""A folder of small drawings, made up here: on each a coloured mark somewhere, by its class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"heron": (40, 60, 200), "kingfisher": (220, 120, 40), "owl": (60, 160, 70)}


def write_drawings(folder: Path, each: int | dict[str, int] = 100, grey: bool = False) -> Path:
    """Grey noise, 40 x 36, but for one patch whose colour (of grey ones: brightness) is the
    class's."""
    rng = np.random.default_rng(0)
    for place, (name, colour) in enumerate(COLOURS.items()):
        (folder / name).mkdir(parents=True)
        for number in range(each if isinstance(each, int) else each[name]):
            pixels = np.repeat(rng.integers(90, 140, (36, 40, 1)), 3, axis=2).astype(np.uint8)
            pixels[20:32, 22:34] = (100 * place,) * 3 if grey else colour
            Image.fromarray(pixels).save(folder / name / f"{number:04}.png")
    return folder
