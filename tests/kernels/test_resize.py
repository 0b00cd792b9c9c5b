"""What OpenCV's bilinear scaling gives: to a third to the bit, to two thirds within one."""

import cv2
import numpy as np
import pytest

from vidette.kernels.resize import to_a_third, to_two_thirds


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(640, 360), (1, 1), (7, 5), (33, 64)])
@pytest.mark.parametrize("padding", [0, 13])
def test_a_third_equals_opencv(dtype: type, size: tuple[int, int], padding: int) -> None:
    width, height = size
    rng = np.random.default_rng(width)
    lines = rng.integers(0, np.iinfo(dtype).max, (3 * height, 3 * width + padding), dtype, endpoint=True)
    source = lines[:, : 3 * width]
    out = np.empty((height, width), dtype)
    to_a_third(source, out)
    expected = cv2.resize(np.ascontiguousarray(source), size, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(out, [[source[3 * i + 1, 3 * j + 1] for j in range(width)] for i in range(height)])


@pytest.mark.parametrize("size", [(640, 360), (2, 2), (6, 4), (34, 64)])
@pytest.mark.parametrize("padding", [0, 13])
def test_two_thirds_are_within_one_of_opencv(size: tuple[int, int], padding: int) -> None:
    width, height = size
    rng = np.random.default_rng(width)
    lines = rng.integers(0, 255, (height // 2 * 3, width // 2 * 3 + padding), np.uint8, endpoint=True)
    source = lines[:, : width // 2 * 3]
    out = np.empty((height, width), np.uint8)
    to_two_thirds(source, out)
    expected = cv2.resize(np.ascontiguousarray(source), size, interpolation=cv2.INTER_LINEAR)
    difference = out.astype(int) - expected
    assert np.abs(difference).max() <= 1
    if size == (640, 360):
        assert abs(difference.mean()) < 0.05
