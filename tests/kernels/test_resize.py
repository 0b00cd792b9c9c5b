"""Scaling to a third is what OpenCV's bilinear scaling gives, to the bit."""

import cv2
import numpy as np
import pytest

from vidette.kernels.resize import to_a_third


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
