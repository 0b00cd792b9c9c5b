import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import twin_semantic as twin
from tests.kernels import uncompiled
from vidette.kernels import heads, semantic

SIDES = st.integers(1, 12)


def windowed(rng, height, width):
    top, left = rng.integers(0, height), rng.integers(0, width)
    return np.array([top, left, rng.integers(top, height) + 1, rng.integers(left, width) + 1], np.int64)


def room(window, dtype=np.uint8):
    return np.empty((window[2] - window[0], window[3] - window[1]), dtype)


@given(
    classes=st.sampled_from([1, 2, 19, 300]), height=SIDES, width=SIDES, softmax=st.booleans(), last=st.booleans(),
    spread=st.sampled_from([0.0, 1.0, 40.0, 1e30]), ties=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_winners_equal_their_twin(classes, height, width, softmax, last, spread, ties, seed):
    rng = np.random.default_rng(seed)
    head = (rng.normal(size=(classes, height, width)) * spread).astype(np.float32)
    if ties:
        head = np.rint(head)
    window = windowed(rng, height, width)
    found = room(window, np.uint8 if classes <= 256 else np.uint16)
    given_head = heads.readable(head.transpose(1, 2, 0) if last else head)
    scores, counts, state = semantic.winners(given_head, last, softmax, window, found)
    expected = twin.winners(head, softmax, window)
    assert state == heads.OK
    assert found.tolist() == expected[0]
    np.testing.assert_allclose(scores, expected[1], rtol=1e-6, atol=3e-6 if softmax else 0)
    assert counts.tolist() == expected[2]


@given(height=SIDES, width=SIDES, threshold=st.sampled_from([0.0, 0.25, 0.5, 0.99]), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_mattes_equal_their_twin(height, width, threshold, seed):
    rng = np.random.default_rng(seed)
    alpha = (rng.integers(0, 9, (height, width)) / 8).astype(np.float32)
    window = windowed(rng, height, width)
    found = room(window)
    scores, counts, state = semantic.matte(heads.readable(alpha), threshold, window, found)
    expected = twin.matte(alpha, threshold, window)
    assert state == heads.OK
    assert found.tolist() == expected[0]
    np.testing.assert_allclose(scores, expected[1], atol=1e-6)
    assert counts.tolist() == expected[2]


@given(
    height=SIDES, width=SIDES, seed=st.integers(0, 999),
    kind=st.sampled_from([np.uint8, np.int32, np.int64]), room_kind=st.sampled_from([np.uint8, np.uint16]),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_tallies_equal_numpy(height, width, seed, kind, room_kind):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 256, (height, width)).astype(kind)
    numbers.flags.writeable = False
    window = windowed(rng, height, width)
    found = room(window, room_kind)
    counts, fits = semantic.tally(numbers, window, found)
    part = numbers[window[0] : window[2], window[1] : window[3]]
    assert fits
    np.testing.assert_array_equal(found, part)
    np.testing.assert_array_equal(counts, np.bincount(part.reshape(-1), minlength=len(counts)))


@pytest.mark.parametrize("number", [-1, 256, 1 << 40])
def test_a_class_number_that_does_not_fit_is_told(number):
    numbers = np.zeros((3, 4), np.int64)
    numbers[2, 3] = number
    numbers.flags.writeable = False
    assert not semantic.tally(numbers, np.array([0, 0, 3, 4]), np.empty((3, 4), np.uint8))[1]
    assert semantic.tally(numbers, np.array([0, 0, 2, 4]), np.empty((2, 4), np.uint8))[1]


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_what_is_not_a_number_is_told_wherever_it_stands(value, last):
    for channel in (0, 2):
        head = np.zeros((3, 5, 6), np.float32)
        head[channel, 4, 5] = value
        given_head = heads.readable(head.transpose(1, 2, 0) if last else head)
        whole = np.array([0, 0, 5, 6])
        assert semantic.winners(given_head, last, True, whole, room(whole))[2] == heads.NAN
        outside = np.array([0, 0, 4, 6])  # what lies over padding does not matter
        assert semantic.winners(given_head, last, True, outside, room(outside))[2] == heads.OK
    assert semantic.matte(heads.readable(head[2]), 0.5, whole, room(whole))[2] == heads.NAN


def test_no_class_at_all_is_not_a_number_and_minus_infinity_never_wins():
    head = np.full((2, 1, 3), -np.inf, np.float32)
    window = np.array([0, 0, 1, 3])
    assert semantic.winners(heads.readable(head), False, True, window, room(window))[2] == heads.NAN
    head[1] = 5
    found = room(window)
    scores, counts, state = semantic.winners(heads.readable(head), False, True, window, found)
    assert state == heads.OK
    assert counts.tolist() == [0, 3]
    np.testing.assert_allclose(scores, 1, atol=1e-6)


@given(seed=st.integers(0, 999), count=st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_means_equal_their_twin(seed, count):
    rng = np.random.default_rng(seed)
    classes, scores = rng.integers(0, 6, (7, 9)).astype(np.uint8), rng.random((7, 9)).astype(np.float32)
    np.testing.assert_allclose(semantic.means(classes, scores, count), twin.means(classes, scores, count), rtol=1e-6)


@given(height=SIDES, width=SIDES, kind=st.sampled_from([np.uint8, np.uint16]), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_runs_spell_the_masks(height, width, kind, seed):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, rng.integers(1, 5), (height, width)).astype(kind)
    wanted = rng.permutation(5)[: rng.integers(0, 6)]
    slots = np.full(np.iinfo(kind).max + 1, -1)
    slots[wanted] = np.arange(len(wanted))
    lengths, ends = semantic.runs(classes, slots, len(wanted))
    parts = np.split(lengths, ends)
    assert len(parts.pop()) == 0, "nothing behind the last"
    for number, part in zip(wanted, parts, strict=True):
        inside = np.repeat(np.arange(len(part)) % 2, part)
        np.testing.assert_array_equal(inside.reshape(width, height).T, classes == number)
        assert (part[1:] > 0).all()


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import twin_semantic as twin
from vidette.kernels import heads, semantic
rng = np.random.default_rng(0)
head = rng.normal(size=(5, 6, 7)).astype(np.float32) * 9
window = np.array([1, 2, 6, 7])
assert not hasattr(semantic.winners, "py_func")
expected = twin.winners(head, True, window)
for last in (False, True):
    found = np.empty((5, 5), np.uint8)
    turned = heads.readable(head.transpose(1, 2, 0) if last else head)
    scores, counts, state = semantic.winners(turned, last, True, window, found)
    assert state == heads.OK and found.tolist() == expected[0] and counts.tolist() == expected[2]
    np.testing.assert_allclose(scores, expected[1], atol=3e-6)
alpha = rng.random((6, 7)).astype(np.float32)
scores, counts, state = semantic.matte(alpha, 0.5, window, found)
assert (found.tolist(), counts.tolist()) == twin.matte(alpha, 0.5, window)[::2]
counts, fits = semantic.tally(found, np.array([0, 0, 5, 5]), np.empty((5, 5), np.uint8))
assert fits and counts.sum() == 25
assert semantic.runs(found, np.zeros(256, np.int64), 1)[0].tolist() == [0, 25]
np.testing.assert_allclose(semantic.means(found, scores, 2), twin.means(found, scores, 2), rtol=1e-6)
"""
    )
