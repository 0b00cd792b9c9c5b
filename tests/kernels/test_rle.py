import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from tests.kernels.twin_masks import decode
from vidette.kernels import rle


def encode(crop, left, top, width, height):
    columns = np.ascontiguousarray(np.asarray(crop, np.uint8).T)
    return rle.characters(rle.runs(columns, left, top, width, height)).tobytes().decode()


@given(
    left=st.integers(0, 3),
    top=st.integers(0, 3),
    right=st.integers(0, 3),
    below=st.integers(0, 3),
    wide=st.integers(0, 40),
    high=st.integers(0, 40),
    density=st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read_again(left, top, right, below, wide, high, density, seed):
    crop = np.random.default_rng(seed).random((high, wide)) < density
    width, height = left + wide + right, top + high + below
    if width and height:
        whole = np.zeros((height, width), bool)
        whole[top : top + high, left : left + wide] = crop
        np.testing.assert_array_equal(decode(encode(crop, left, top, width, height), width, height), whole)


@pytest.mark.parametrize(
    ("crop", "text"),
    [
        (np.zeros((2, 3)), "6"),
        (np.ones((2, 3)), "06"),
        ([[0, 1], [0, 1]], "22"),
        ([[1, 0], [0, 0]], "013"),
        # 1 one, 2 zeros, 3 ones, 4 zeros, 2 ones: from the fourth on 3 - 1, 4 - 2, 2 - 3
        (np.array([[1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]]).T, "01222O"),
        (np.zeros((1080, 1920)), "PPYo1"),
    ],
)
def test_known_texts(crop, text):
    crop = np.asarray(crop)
    assert encode(crop, 0, 0, crop.shape[1], crop.shape[0]) == text


def test_millions_of_pixels():
    crop = np.zeros((2000, 3000), bool)
    crop[100:1900, 5:2990] = True
    crop[999] ^= True
    np.testing.assert_array_equal(decode(encode(crop, 0, 0, 3000, 2000), 3000, 2000), crop)


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_what_is_written_is_read_again)
