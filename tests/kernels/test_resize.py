"""Naive twins, and what OpenCV's bilinear scaling gives: to a third to the bit, to two thirds within one."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.kernels import again_uncompiled
from vidette.kernels.resize import antialiased, taps, to_a_third, to_two_thirds


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


@pytest.mark.parametrize("shape", [(480, 640), (300, 300, 3), (100, 90, 3), (7, 5), (5, 5, 2)])
@pytest.mark.parametrize("size", [(298, 224), (3, 2), (224, 256)])
def test_antialiased_is_within_one_of_pillow(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    source = np.random.default_rng(size[0]).integers(0, 255, shape, np.uint8, endpoint=True)
    channels = shape[2] if len(shape) == 3 else 1
    out = np.empty((size[1], size[0], channels), np.uint8)
    rows, columns = taps(shape[0], size[1]), taps(shape[1], size[0])
    antialiased(source.reshape(shape[0], -1), out.reshape(size[1], -1), channels, *rows, *columns)
    planes = source.reshape(*shape[:2], channels)
    for c in range(channels):
        expected = np.asarray(Image.fromarray(planes[:, :, c].copy()).resize(size, Image.Resampling.BILINEAR))
        assert np.abs(out[:, :, c].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("size", "to"), [(1, 1), (1, 9), (9, 1), (1920, 224), (224, 1920)])
def test_taps_stay_inside_and_sum_to_one(size: int, to: int) -> None:
    starts, weights = taps(size, to)
    assert starts.min() >= 0
    assert (starts + weights.shape[1]).max() <= size
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def bilinear(source, width, height):
    """(height, width) float64, half-pixel centres, edges repeated."""
    grid = source.astype(np.float64)
    for axis, to in ((0, height), (1, width)):
        at = np.clip((np.arange(to) + 0.5) * grid.shape[axis] / to - 0.5, 0, grid.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, grid.shape[axis] - 1)
        part = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        grid = grid.take(low, axis) * (1 - part) + grid.take(high, axis) * part
    return grid


def triangles(line, to):
    """One line by a triangle as wide as the scale, in float64."""
    scale = len(line) / to
    support = max(scale, 1.0)
    weights = [
        [max(0.0, 1 - abs((j + 0.5 - (i + 0.5) * scale) / support)) for j in range(len(line))] for i in range(to)
    ]
    return np.array([np.dot(row, line) / sum(row) for row in weights])


@given(
    width=st.integers(1, 12), height=st.integers(1, 12), dtype=st.sampled_from([np.uint8, np.uint16]), data=st.data()
)
@settings(deadline=None, max_examples=40)
def test_thirds_equal_their_twin(width, height, dtype, data):
    shape = (3 * height, 3 * width)
    source = data.draw(arrays(dtype, shape, elements=st.sampled_from([0, 1, 127, 254, 255, np.iinfo(dtype).max])))
    third = np.empty((height, width), dtype)
    to_a_third(source, third)
    np.testing.assert_array_equal(third, bilinear(source, width, height))
    if dtype is np.uint8:
        two_thirds = np.empty((2 * height, 2 * width), dtype)
        to_two_thirds(source, two_thirds)
        rounding = two_thirds - bilinear(source, 2 * width, 2 * height)
        assert rounding.min() >= -0.5
        assert rounding.max() < 0.5, "what lies in the middle is rounded down"


@given(
    size=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    to=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    channels=st.sampled_from([1, 2, 3]),
    low=st.sampled_from([0, 200, 255]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_antialiased_equals_its_twin(size, to, channels, low, seed):
    source = np.random.default_rng(seed).integers(low, 255, (*size, channels), np.uint8, endpoint=True)
    out = np.empty((*to, channels), np.uint8)
    antialiased(
        source.reshape(size[0], -1), out.reshape(to[0], -1), channels, *taps(size[0], to[0]), *taps(size[1], to[1])
    )
    expected = np.apply_along_axis(triangles, 1, np.apply_along_axis(triangles, 0, source, to[0]), to[1])
    assert np.abs(out - expected).max() <= 0.51


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_thirds_equal_their_twin, test_antialiased_equals_its_twin)
