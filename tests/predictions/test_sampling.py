"""Pixels of a picture and the samples they fall into."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.predictions.sampling import window

edges = st.floats() | st.floats(-30, 30)


def naive(grid: np.ndarray, extent: np.ndarray, width: int, height: int) -> dict[tuple[int, int], int]:
    left, top, right, bottom = extent
    found = {}
    for y in range(height):
        for x in range(width):
            if left <= x + 0.5 < right and top <= y + 0.5 < bottom:
                column = int((x + 0.5 - left) * (grid.shape[1] / (right - left)))
                row = int((y + 0.5 - top) * (grid.shape[0] / (bottom - top)))
                found[y, x] = grid[min(row, grid.shape[0] - 1), min(column, grid.shape[1] - 1)]
    return found


@given(st.integers(1, 6), st.integers(1, 6), st.tuples(edges, edges, edges, edges), st.integers(1, 20))
def test_each_pixel_takes_the_sample_under_its_centre(h, w, extent, width):
    grid = np.arange(h * w).reshape(h, w)
    left, top, pixels = window(grid, np.array(extent), width, 12)
    if not np.isfinite(extent).all():
        assert not pixels.size
        return
    got = {(top + y, left + x): pixels[y, x] for y in range(pixels.shape[0]) for x in range(pixels.shape[1])}
    assert got == naive(grid, np.array(extent), width, 12)


def test_a_whole_map_at_the_size_of_the_picture_is_the_picture():
    grid = np.arange(48).reshape(6, 8)
    left, top, pixels = window(grid, np.array([0, 0, 8, 6]), 8, 6)
    assert (left, top) == (0, 0)
    np.testing.assert_array_equal(pixels, grid)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_grid_without_samples(shape):
    assert not window(np.zeros(shape), np.array([0, 0, 4, 4]), 8, 6)[2].size


def test_colours_keep_their_channels():
    assert window(np.zeros((2, 2, 3)), np.array([0, 0, 4, 4]), 8, 6)[2].shape == (4, 4, 3)
