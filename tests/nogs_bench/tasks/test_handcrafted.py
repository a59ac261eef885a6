"""Hand-crafted sequences against cases worked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corner_task import CORNER, TELLING
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.families.cluttered_digits import CANVAS, compose, digit_corners
from nogs_bench.tasks.families.cub import PARTS, ordered_parts
from nogs_bench.tasks.families.fashion_mnist import lit_boxes
from nogs_bench.tasks.handcrafted import (
    box_keypoints,
    hand_crafted_glimpses,
    nearest_corners,
    read_keypoints,
    visible_keypoints,
)
from nogs_bench.tasks.task import get_task

NAN = float("nan")
IMAGES = CORNER.source.load("train")


def _file(folder: Path, array: object) -> Path:
    np.save(folder / "keypoints.npy", array)
    return folder / "keypoints.npy"


def test_a_glimpse_goes_where_its_middle_is_nearest_the_keypoint():
    # 4 x 4 glimpses at rows and columns 0, 4 and 8: middles at 2, 6 and 10.
    centres = np.array([[2, 2], [0, 12], [3.9, 4.1], [7.9, 8.1], [6, 10]])
    expected = [[0, 0], [0, 8], [0, 4], [4, 8], [4, 8]]
    np.testing.assert_array_equal(nearest_corners(CORNER.grid, centres), expected)


def test_the_user_s_keypoints_in_their_order(tmp_path):
    points = np.zeros((3, 3, 2))
    points[2] = [[10, 11], [2, 6], [6, 6]]
    path = _file(tmp_path, points)
    found = hand_crafted_glimpses(CORNER, IMAGES, np.array([2]), file=path)
    np.testing.assert_array_equal(found, [[[8, 8], [0, 4]]])
    np.testing.assert_array_equal(CORNER.grid.pixel_to_index(found), [[TELLING, 1]])


def test_hidden_keypoints_are_replaced_by_visible_ones_of_the_same_image():
    points = np.array([[[NAN, NAN], [2.0, 2.0], [6.0, 6.0], [NAN, 1.0], [10.0, 1.0]]] * 300)
    rows = np.arange(300)
    found = visible_keypoints(points, rows, T=2, size=12)
    np.testing.assert_array_equal(found[:, 1], points[:, 1])
    kinds, counts = np.unique(found[:, 0], axis=0, return_counts=True)
    np.testing.assert_array_equal(kinds, [[2, 2], [6, 6], [10, 1]])
    assert counts.min() > 60  # 100 each; the standard deviation is 8
    # An image's replacement depends on its number alone.
    np.testing.assert_array_equal(visible_keypoints(points[7:], rows[7:], 2, 12), found[7:])
    none = np.full((1, 2, 2), NAN)
    np.testing.assert_array_equal(visible_keypoints(none, rows[:1], 2, 12), [[[6, 6]] * 2])


def test_unfit_keypoints_are_refused(tmp_path):
    rows = np.arange(48)
    with pytest.raises(NogsError, match="corner has no keypoints of its own: give --keypoints"):
        hand_crafted_glimpses(CORNER, IMAGES, rows)
    outside = np.zeros((48, 2, 2))
    outside[5, 1] = (3, 12.5)
    for array, words in (
        (np.zeros((47, 2, 2)), r"n at least 48, the annotated images; got float64 \(47, 2, 2\)"),
        (np.zeros((48, 1, 2)), r"\(n, 2 or more, 2\)"),
        (np.zeros((48, 2, 2), bool), "must be numbers"),
        (outside, r"row 5: keypoint \[3.0, 12.5\] is outside the image of 12 x 12"),
        (np.full((48, 2, 2), np.inf), "row 0: keypoint"),
    ):
        with pytest.raises(NogsError, match=words):
            hand_crafted_glimpses(CORNER, IMAGES, rows, file=_file(tmp_path, array))
    pickled = np.array([{}])
    np.save(tmp_path / "p.npy", pickled, allow_pickle=True)
    for path in (tmp_path / "p.npy", tmp_path / "absent.npy"):
        with pytest.raises(NogsError, match="cannot be read"):
            hand_crafted_glimpses(CORNER, IMAGES, rows, file=path)


def test_the_beak_an_eye_the_forehead_the_belly_and_a_leg():
    """Part k lies at (k, 2 k). The left eye and the belly are hidden, and so are both legs."""
    parts = np.stack([np.arange(15), 2 * np.arange(15), np.ones(15)], axis=-1)[None]
    at = {name: number for number, name in enumerate(PARTS)}
    for hidden in ("left eye", "belly", "left leg", "right leg"):
        parts[0, at[hidden], 2] = 0
    found = ordered_parts(parts)[0]
    beak, eye, forehead = at["beak"], at["right eye"], at["forehead"]
    np.testing.assert_array_equal(found[:3, 0], [beak, eye, forehead])
    assert np.isnan(found[3:5]).all()
    # All others follow, once each: the eleven that are visible are all there.
    visible = found[~np.isnan(found).any(-1)]
    assert sorted(visible[:, 0]) == sorted(
        set(range(15)) - {at[name] for name in ("left eye", "belly", "left leg", "right leg")}
    )
    np.testing.assert_array_equal(visible[:, 1], 2 * visible[:, 0])


def test_digits_are_where_their_corners_say():
    """Outside the window that a corner names there is nothing but scraps."""
    images = compose("train-annotatable", "annotated", 0, 40).images[:, 0]
    corners = digit_corners(40)
    assert corners.min() >= 0
    size = CANVAS.piece
    assert corners.max() <= CANVAS.size - size
    inside = [
        image[r : r + size, c : c + size] for image, (r, c) in zip(images, corners, strict=True)
    ]
    # Scraps are 4 x 4 and three: of 528 pixels outside at most 48 are lit, of 256 inside many.
    lit = np.array([(patch > 0).sum() for patch in inside])
    outside = (images > 0).sum((1, 2)) - lit
    assert (outside <= 3 * 16).all()
    assert (lit > 256 / 4).all()
    # The train split goes on with another stream after the annotatable images.
    assert len(digit_corners(3_010)) == 3_010
    np.testing.assert_array_equal(digit_corners(3_010)[:40], corners)


def test_cluttered_digits_look_at_the_digit():
    task = get_task("cluttered-digits")
    images = LabelledImages(np.empty((0, 1, 28, 28), np.uint8), np.empty((0, 1), np.int64))
    rows = np.array([0, 3, 30])
    glimpses = hand_crafted_glimpses(task, images, rows)
    corner = digit_corners(31)[rows]
    # The 6 x 6 glimpse in the digit's middle begins 5 pixels into it; cells are 3 apart.
    assert (np.abs(glimpses[:, 0] - (corner + 5)) <= 1).all()
    assert (np.abs(glimpses[:, 1] - (corner + 1)) <= 1).all()
    assert (np.abs(glimpses[:, 4] - (corner + 9)) <= 1).all()
    with pytest.raises(NogsError, match="5 keypoints cannot fill T = 6"):
        hand_crafted_glimpses(replace(task, T=6), images, rows)


def test_boxes_by_hand():
    images = np.zeros((2, 1, 8, 8), np.uint8)
    images[0, 0, 2, 3] = images[0, 0, 5, 4] = 9
    np.testing.assert_array_equal(lit_boxes(images), [[2, 3, 6, 5], [0, 0, 8, 8]])
    expected = [[4, 4], [3, 3.5], [3, 4.5], [5, 3.5], [5, 4.5]]
    np.testing.assert_array_equal(box_keypoints(lit_boxes(images))[0], expected)


def test_keypoints_as_shares_of_the_image_are_refused(tmp_path: Path) -> None:
    task, path = get_task("fashion-mnist"), tmp_path / "keypoints.npy"
    np.save(path, np.random.default_rng(0).random((4, task.T, 2)))
    with pytest.raises(NogsError, match=r"all keypoints lie in 0\.\.1; give them in pixels"):
        read_keypoints(path, task, 4)
