from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nogs_bench.errors import NogsError
from nogs_bench.network.fovea import Fovea
from nogs_bench.tasks.geometry import GlimpseGrid


@st.composite
def grids(draw: st.DrawFn) -> GlimpseGrid:
    size = draw(st.integers(1, 24))
    glimpse = draw(st.integers(1, size))
    steps = st.lists(st.integers(0, size - glimpse), min_size=1, max_size=6, unique=True)
    rows, cols = (tuple(sorted(draw(steps))) for _ in range(2))
    return GlimpseGrid(size, glimpse, rows, cols)


@given(grids())
def test_every_index_is_the_row_major_pixel(grid: GlimpseGrid) -> None:
    expected = list(itertools.product(grid.rows, grid.cols))
    assert grid.cells == len(expected)
    assert grid.index_to_pixel(np.arange(grid.cells)).tolist() == [list(p) for p in expected]


@given(grids(), st.data())
def test_index_pixel_and_normalised_are_one_another_s_inverse(
    grid: GlimpseGrid, data: st.DataObject
) -> None:
    shape = data.draw(st.sampled_from([(), (3,), (2, 0), (2, 3)]))
    count = int(np.prod(shape))
    cells = data.draw(st.lists(st.integers(0, grid.cells - 1), min_size=count, max_size=count))
    index = np.array(cells, np.int16).reshape(shape)
    pixel = grid.index_to_pixel(index)
    assert pixel.shape == (*shape, 2)
    np.testing.assert_array_equal(grid.pixel_to_index(pixel), index)
    normalised = grid.pixel_to_normalised(pixel)
    assert normalised.dtype == np.float32
    assert (np.abs(normalised) <= 1).all()
    np.testing.assert_array_equal(grid.normalised_to_pixel(normalised), pixel)


@given(grids())
def test_pixels_off_the_grid_are_refused_by_name(grid: GlimpseGrid) -> None:
    allowed = set(itertools.product(grid.rows, grid.cols))
    for pixel in itertools.product((-1, 0, 1, grid.span, grid.span + 1), repeat=2):
        if pixel in allowed:
            continue
        with pytest.raises(NogsError) as refused:
            grid.pixel_to_index(np.array([[*grid.pixels[0]], [*pixel]]))
        assert str(pixel) in str(refused.value)
        nearest = grid.nearest(pixel)
        assert nearest in allowed
        distance = [abs(a - pixel[0]) + abs(b - pixel[1]) for a, b in allowed]
        assert abs(nearest[0] - pixel[0]) + abs(nearest[1] - pixel[1]) == min(distance)


@pytest.mark.parametrize("index", [-1, 9])
def test_an_index_outside_is_refused_by_name(index: int) -> None:
    with pytest.raises(NogsError, match=rf"{index} is outside 0\.\.8"):
        GlimpseGrid.even(12, 4, 4).index_to_pixel(np.array([0, index]))


def test_other_types_and_shapes_are_refused() -> None:
    grid = GlimpseGrid.even(12, 4, 4)
    with pytest.raises(NogsError, match="float64"):
        grid.index_to_pixel(np.array([1.0]))
    with pytest.raises(NogsError, match="shape"):
        grid.pixel_to_index(np.array([[4, 4, 4]]))
    for value in (1.01, -2.0, np.nan):
        with pytest.raises(NogsError, match="normalised"):
            grid.normalised_to_pixel(np.array([0.0, value]))


@pytest.mark.parametrize(
    ("size", "glimpse", "rows"),
    [(4, 5, (0,)), (4, 0, (0,)), (8, 4, ()), (8, 4, (0, 0)), (8, 4, (2, 1)), (8, 4, (0, 5))],
)
def test_an_impossible_grid_is_refused(size: int, glimpse: int, rows: tuple[int, ...]) -> None:
    with pytest.raises(NogsError):
        GlimpseGrid(size, glimpse, rows, (0,))


def test_the_papers_grids() -> None:
    celeba = GlimpseGrid.linspace(224, 16, points=50, last=207)
    assert celeba.shape == (50, 50)
    assert celeba.cells == 2500
    assert celeba.rows[:5] == (0, 4, 8, 12, 16)
    assert celeba.rows[-2:] == (202, 207)
    assert set(np.diff(celeba.rows)) == {4, 5}
    birds = GlimpseGrid.even(128, 32, stride=8)
    assert birds.shape == (13, 13)
    assert birds.rows == tuple(range(0, 97, 8))
    assert GlimpseGrid.even(28, 4, 2).cells == 169


def test_normalised_coordinates_of_the_corners_and_the_middle() -> None:
    grid = GlimpseGrid.even(12, 4, 4)
    corners = grid.pixel_to_normalised(np.array([[0, 0], [8, 8], [4, 0]]))
    assert corners.tolist() == [[-1, -1], [1, 1], [0, -1]]
    assert GlimpseGrid.even(4, 4, 1).pixel_to_normalised(np.array([0, 0])).tolist() == [0, 0]


@given(grids())
def test_masks_cover_a_square_at_the_pixel(grid: GlimpseGrid) -> None:
    assert grid.masks.shape == (grid.cells, grid.image_size, grid.image_size)
    for mask, (row, col) in zip(grid.masks, grid.pixels, strict=True):
        expected = np.zeros_like(mask)
        expected[row : row + grid.glimpse_size, col : col + grid.glimpse_size] = True
        np.testing.assert_array_equal(mask, expected)


@given(grids(), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_glimpse_is_the_slice_at_its_corner(grid: GlimpseGrid, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, side = grid.image_size, grid.glimpse_size
    images = rng.integers(256, size=(grid.cells, channels, size, size)).astype(np.uint8)
    every = torch.arange(grid.cells)
    patches, _ = Fovea(grid, torch.from_numpy(images))(every, every)
    for image, patch, (row, col) in zip(images, patches.numpy(), grid.pixels, strict=True):
        expected = image[:, row : row + side, col : col + side] / 255
        np.testing.assert_allclose(patch, expected, rtol=1e-6)
