"""Tiles cover the picture, overlap as asked, and begin where chroma samples do."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.pixels.tiles import Tiles, regions


@given(
    st.integers(40, 5000), st.integers(40, 5000), st.integers(1, 6), st.integers(1, 6),
    st.sampled_from([0.0, 0.2, 0.5]),
)  # fmt: skip
def test_a_grid_covers_the_picture_with_tiles_of_one_size(width, height, across, down, overlap):
    found = regions(width, height, Tiles(across, down, True, overlap, whole=False))
    assert len(found) == across * down
    assert len({tile[2:] for tile in found}) == 1
    covered = np.zeros((height, width), np.bool_)
    for x, y, wide, high in found:
        assert 0 <= x <= width - wide
        assert 0 <= y <= height - high
        covered[y : y + high, x : x + wide] = True
    assert covered.all()


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([0.0, 0.2, 0.5]))
def test_tiles_of_a_size_overlap_at_least_as_asked(width, height, overlap):
    found = regions(width, height, Tiles(640, 512, False, overlap, whole=False))
    assert found[0][2:] == (min(width, 640), min(height, 512))
    columns = sorted({tile[0] for tile in found})
    assert columns[0] == 0
    assert columns[-1] + found[0][2] == width
    for left, right in pairwise(columns):
        assert left + 640 - right >= 640 * overlap - 2
        assert right % 2 == 0 or right == columns[-1]


@pytest.mark.parametrize("whole", [True, False])
def test_the_whole_picture_comes_last_where_there_is_more_than_one(whole):
    assert len(regions(1920, 1080, Tiles(2, 2, True, whole=whole))) == 4 + whole
    assert regions(600, 400, Tiles(640, 640, False, whole=whole)) == [(0, 0, 600, 400)]
