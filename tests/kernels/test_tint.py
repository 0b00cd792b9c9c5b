"""The tint against its naive twin."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from vidette.kernels.tint import tint


def naive(scene, left, top, grid, rows, columns, keep, add):
    out = scene.copy()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            number = grid[row, column]
            for c in range(3):
                out[top + i, left + j, c] = int(scene[top + i, left + j, c] * float(keep[number]) + add[number, c]) >> 8
    return out


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_as_the_twin(dtype, seed, high, wide, left, top):
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    grid = rng.integers(0, 5, (rng.integers(1, 6), rng.integers(1, 6))).astype(dtype)
    grid.flags.writeable = False
    rows = np.sort(rng.integers(0, grid.shape[0], high)).astype(np.intp)
    columns = np.sort(rng.integers(0, grid.shape[1], wide)).astype(np.intp)
    keep = rng.integers(0, 257, 5).astype(np.uint16)
    add = (rng.integers(0, 256, (5, 3)) * (256 - keep[:, None].astype(int))).astype(np.uint16)
    expected = naive(scene, left, top, grid, rows, columns, keep, add)
    tint(scene, left, top, grid, rows, columns, keep, add)
    np.testing.assert_array_equal(scene, expected)


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_as_the_twin)
