import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled, twin
from tests.kernels.test_heads import mask, same
from vidette.families.maps import Others
from vidette.kernels import heads
from vidette.kernels.maps import bits, maps, values

STRIDES = {1: (16,), 3: (8, 16, 32), 4: (4, 8, 16, 32)}


def halved(array):
    """bfloat16: the upper half of float32."""
    return (array.view(np.uint32) >> 16).astype(np.uint16)


def made(rng, levels, bins, classes, wide, high):
    """Maps over wide x high of the last cells."""
    shapes = [(high << level, wide << level) for level in reversed(range(levels))]
    boxes = tuple(heads.readable(rng.normal(0, 2, (*shape, 4 * bins)).astype(np.float32)) for shape in shapes)
    scores = tuple(heads.readable(rng.normal(-1, 2, (*shape, classes)).astype(np.float32)) for shape in shapes)
    return boxes, scores


def as_bits(arrays):
    return tuple(bits(each) for each in arrays)


@given(
    levels=st.sampled_from([1, 3]),
    sides=st.sampled_from([1, 4, 16]),
    classes=st.integers(1, 6),
    wide=st.integers(0, 3),
    high=st.integers(1, 3),
    confidence=st.sampled_from([0.0, 1e-6, 0.25, 0.9, 0.9999, 1.0]),
    half=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_maps_equal_their_twin(levels, sides, classes, wide, high, confidence, half, seed):
    rng = np.random.default_rng(seed)
    boxes, scores = made(rng, levels, sides, classes, wide, high)
    found = as_bits(boxes), as_bits(scores)
    if half:
        found = tuple(tuple(bits(halved(each)) for each in both) for both in (boxes, scores))
        boxes, scores = (tuple(values(each) for each in both) for both in found)
    allowed = mask(classes, rng)
    strides = np.array(STRIDES[levels], np.int64)
    candidates, places, state = maps(*found, strides, allowed, confidence)
    expected, where = twin.maps(boxes, scores, STRIDES[levels], allowed, confidence)
    same(candidates, state, expected)
    assert places.tolist() == where


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_maps_equal_their_twin)


def test_four_levels():
    rng = np.random.default_rng(1)
    boxes, scores = made(rng, 4, 1, 2, 20, 12)
    allowed, strides = np.ones(2, np.bool_), np.array(STRIDES[4], np.int64)
    candidates, places, state = maps(as_bits(boxes), as_bits(scores), strides, allowed, 0.9)
    expected, where = twin.maps(boxes, scores, STRIDES[4], allowed, 0.9)
    same(candidates, state, expected)
    assert places.tolist() == where


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers(value, channel, half):
    boxes, scores = made(np.random.default_rng(2), 1, 4, 3, 2, 2)
    plain = scores[0].copy()
    plain[:] = -9
    plain[1, 0, channel] = value
    found = as_bits(halved(each) if half else each for each in (*boxes, plain))
    candidates, places, state = maps(found[:1], found[1:], np.array([16]), np.ones(3, np.bool_), 0.5)
    assert state == (heads.NAN if np.isnan(value) else heads.OK)
    if value == np.inf:  # the sigmoid of it is 1
        assert candidates[4:].T.tolist() == [[1, channel]]
        assert places.tolist() == [2]
    else:
        assert not len(places)


@pytest.mark.parametrize("seen", [True, False])
def test_a_box_that_is_no_number_matters_where_it_is_an_object(seen):
    boxes, scores = made(np.random.default_rng(2), 1, 4, 1, 2, 2)
    broken, plain = boxes[0].copy(), scores[0].copy()
    plain[:] = -9
    plain[0, 0, 0] = 3
    broken[0, 0 if seen else 1, 5] = np.nan
    found = maps((bits(broken),), (bits(plain),), np.array([16]), np.ones(1, np.bool_), 0.5)
    assert found[2] == (heads.NAN if seen else heads.OK)


def test_huge_numbers_do_not_overflow():
    boxes, scores = made(np.random.default_rng(2), 1, 16, 1, 1, 1)
    huge = boxes[0].copy()
    huge[:] = -3e38
    huge[..., 7::16] = 3e38
    candidates, _, state = maps((bits(huge),), as_bits(scores), np.array([16]), np.ones(1, np.bool_), 0.0)
    assert state == heads.OK
    assert candidates[:4, 0].tolist() == [(0.5 - 7) * 16, (0.5 - 7) * 16, (0.5 + 7) * 16, (0.5 + 7) * 16]


@given(sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_other_numbers_are_gathered_by_place(sizes, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.random((*size, 3), np.float32) for size in sizes]
    whole = np.concatenate([part.reshape(-1, 3) for part in parts])
    places = rng.integers(0, len(whole), 7)
    rows = Others([part.reshape(-1, 3) for part in parts])[places]
    np.testing.assert_array_equal(rows, whole[places])
    rows[:] = -1  # nothing of what a run returned is shared
    assert min(part.min() for part in parts) >= 0
