"""Picture files as a task's networks take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.images import background_of, list_pictures, read_picture, squared
from nogs_bench.tasks import Task


def picture_files(place: Path) -> list[Path]:
    """A file alone, or all images of a folder and below, by path."""
    if place.is_dir():
        return [file.path for file in list_pictures(place).files]
    if not place.is_file():
        raise NogsError(f"no picture {place}; give a file, or a folder of them")
    return [place]


def read_picture_for(task: Task, file: Path) -> np.ndarray:
    """uint8 (channels, size, size): upright, its middle square, at the task's size."""
    picture = read_picture(file, task.channels, background=background_of(task.source))
    return squared(picture, task.image_size)


def read_pictures(place: Path, task: Task, most: int) -> tuple[np.ndarray, list[str]]:
    """uint8 (n, channels, size, size) of a file or a folder's first `most`; their names."""
    files = picture_files(place)
    if len(files) > 1 and most == 1:
        raise NogsError(f"{place} is a folder: several images go on a page (--out FILE.html)")
    files = files[:most]
    return np.stack([read_picture_for(task, file) for file in files]), [f.name for f in files]
