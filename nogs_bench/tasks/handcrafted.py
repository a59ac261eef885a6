"""Hand-crafted glimpse sequences: what a person would have looked at (section 6, PS-HGS)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.files import read_array
from nogs_bench.images import LabelledImages
from nogs_bench.randomness import derive
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.task import Task


@runtime_checkable
class KnowsKeypoints(Protocol):
    """A source of images (`ImageSource`) that knows what is worth looking at in them."""

    def keypoints(self, images: LabelledImages, rows: np.ndarray, data: Path | None) -> np.ndarray:
        """Keypoints of the training images whose numbers are `rows`, int64 (n,).

        `images` is the whole train split, `data` the folder the user named.

        **Returns** float64 (n, k, 2), k at least T: (row, col) in pixels, where pixel (i, j) spans
        i to i + 1 down and j to j + 1 across. The first T are to be looked at, in this order; NaN
        marks a hidden one; those after the T-th can only stand in for hidden ones.
        """
        ...


def hand_crafted_glimpses(
    task: Task,
    images: LabelledImages,
    rows: np.ndarray,
    data: Path | None = None,
    file: Path | None = None,
) -> np.ndarray:
    """Glimpses, int64 (len(rows), T, 2) pixel (row, col), centred on each image's T keypoints.

    A hidden keypoint is replaced by a visible one of its image, drawn from a seed and the image's
    number; an image without any is looked at in its middle. Each location is the grid's nearest.

    **Arguments**

    - `images`: the train split; `rows`: int64 (n,), numbers of the images wanted.
    - `data`: as `KnowsKeypoints.keypoints` takes it.
    - `file`: keypoints of one's own, as `read_keypoints` takes them; None asks the task's source.

    Raises `NogsError` if there are no keypoints, or they do not fit the task.
    """
    source = task.source
    if file is not None:
        points = read_keypoints(file, task, int(rows.max()) + 1)[rows]
    elif isinstance(source, KnowsKeypoints):
        points = source.keypoints(images, rows, data)
    else:
        raise NogsError(
            f"{task.name} has no keypoints of its own: give --keypoints FILE.npy with float "
            f"(n, {task.T}, 2), (row, col) in pixels of each training image's {task.T} glimpses"
        )
    if points.shape[1] < task.T:
        raise NogsError(f"{task.name}: {points.shape[1]} keypoints cannot fill T = {task.T}")
    return nearest_corners(task.grid, visible_keypoints(points, rows, task.T, task.image_size))


def read_keypoints(path: Path, task: Task, count: int) -> np.ndarray:
    """The user's keypoints: a .npy file of numbers (n, k, 2), as `KnowsKeypoints` defines them.

    Row i is training image i. Raises `NogsError`, with the row, unless n is at least `count`, k at
    least T, and all lie within the image or are NaN. Nothing is unpickled.
    """
    array = read_array(path)
    fits = array.ndim == 3 and array.dtype.kind in "iuf"
    if not fits or len(array) < count or array.shape[1] < task.T or array.shape[2] != 2:
        raise NogsError(
            f"{path}: keypoints of {task.name} must be numbers (n, {task.T} or more, 2) with n at "
            f"least {count}, the annotated images; got {array.dtype} {array.shape}"
        )
    outside = ~np.isnan(array) & ~((array >= 0) & (array <= task.image_size))
    if outside.any():
        row, point, _ = np.argwhere(outside)[0]
        raise NogsError(
            f"{path}, row {row}: keypoint {array[row, point].tolist()} is outside the image of "
            f"{task.image_size} x {task.image_size} pixels; write NaN for a hidden one"
        )
    if task.image_size > 1 and np.nanmax(array, initial=0) <= 1:
        raise NogsError(
            f"{path}: all keypoints lie in 0..1; give them in pixels, 0..{task.image_size}, not as "
            "shares of the image"
        )
    return array.astype(np.float64)


def visible_keypoints(points: np.ndarray, rows: np.ndarray, T: int, size: int) -> np.ndarray:
    """The first T of keypoints (n, k, 2), hidden ones (NaN) replaced by visible ones of the row."""
    hidden = np.isnan(points).any(-1)
    chosen = points[:, :T].copy()
    for i in np.flatnonzero(hidden[:, :T].any(1)):
        visible = points[i, ~hidden[i]] if not hidden[i].all() else np.full((1, 2), size / 2)
        rng = np.random.default_rng([derive("hand-crafted"), int(rows[i])])
        chosen[i, hidden[i, :T]] = rng.choice(visible, hidden[i, :T].sum())
    return chosen


def nearest_corners(grid: GlimpseGrid, centres: np.ndarray) -> np.ndarray:
    """int64 (..., 2): the allowed top-left corners of glimpses centred nearest to `centres`."""
    return grid.snapped(np.asarray(centres, np.float64) - grid.glimpse_size / 2)


def box_keypoints(box: np.ndarray) -> np.ndarray:
    """Five points of boxes (n, 4), (top, left, bottom, right): float64 (n, 5, 2).

    The middle, then the middles of the four quarters, row by row.
    """
    start, end = box[:, None, :2].astype(np.float64), box[:, None, 2:].astype(np.float64)
    share = np.array([[0.5, 0.5], [0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])
    return start + share * (end - start)
