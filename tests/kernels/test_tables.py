"""kernels/scores.py, distances.py and anchors.py against their twins, and what they must survive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import twin_tables as twin
from tests.kernels import uncompiled
from vidette.kernels import anchors, distances, heads, scores

KINDS = {"plain": scores.PLAIN, "sigmoid": scores.SIGMOID, "softmax": scores.SOFTMAX}
counts = st.sampled_from([0, 1, 7, 2100])
seeds = st.integers(0, 99)


def near_the_limit(table, column, kind, classes, confidence):
    """Whether float32 may decide otherwise about a score."""
    rows = [twin.probability(row[: column + classes], kind)[column:] for row in table]
    return any(abs(max(row) - confidence) < 1e-5 for row in rows)


def same(found, expected):
    candidates, state = found
    assert state == heads.OK
    assert candidates.dtype == np.float32
    assert candidates.flags.c_contiguous
    assert candidates.shape == (6, len(expected))
    np.testing.assert_allclose(candidates.T, np.reshape(expected, (-1, 6)), rtol=5e-5, atol=5e-3)


def wanted(classes, rng):
    allowed = rng.random(classes) < 0.7
    allowed[0] = True
    return allowed


def readable(*arrays):
    return [heads.readable(array.astype(np.float32)) for array in arrays]


@given(
    n=counts, classes=st.integers(1, 20), column=st.integers(0, 1), kind=st.sampled_from(sorted(KINDS)),
    confidence=st.sampled_from([0.0, 0.25, 0.5, 0.97, 1.0]), ties=st.booleans(), seed=seeds,
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_probable_equals_its_twin(n, classes, column, kind, confidence, ties, seed):
    rng = np.random.default_rng(seed)
    column = 1 if kind == "softmax" else column
    table = rng.random((n, column + classes + 2)) if kind == "plain" else rng.normal(0, 4, (n, column + classes + 2))
    table = (np.round(table * 4) / 4 if ties else table).astype(np.float32)
    if kind == "softmax":
        table = table[:, : 1 + classes].copy()
    if confidence not in (0.0, 1.0) and near_the_limit(table, column, kind, classes, confidence):
        return
    allowed = wanted(classes, rng)
    places, labels, values, state = scores.probable(heads.readable(table), column, KINDS[kind], allowed, confidence)
    expected = twin.chosen(table, column, kind, allowed, confidence)
    if confidence == 1.0:  # float32 rounds 0.99999999 to 1; either way nothing is above it
        expected = []
    assert state == heads.OK
    assert [(i, c) for i, c, _ in expected] == list(zip(places.tolist(), labels.tolist(), strict=True))
    np.testing.assert_allclose(values, [score for *_, score in expected], rtol=1e-5)


@given(n=counts, classes=st.integers(1, 9), column=st.integers(0, 1), seed=seeds)
@settings(deadline=None, max_examples=30)
def test_boxed_equals_its_twin(n, classes, column, seed):
    rng = np.random.default_rng(seed)
    boxes, table = readable(rng.uniform(-0.2, 1.2, (n, 4)), rng.random((n, column + classes)) ** 3)
    allowed = wanted(classes, rng)
    same(
        scores.boxed(boxes, table, column, allowed, 0.3, 320.0, 240.0),
        twin.boxed(boxes, table, column, allowed, np.float32(0.3), 320, 240),
    )


@given(
    width=st.integers(30, 130), height=st.integers(30, 130), classes=st.integers(1, 9), bins=st.integers(2, 17),
    together=st.booleans(), centre=st.sampled_from([0.0, 0.5]), clip=st.booleans(),
    confidence=st.sampled_from([0.0, 0.4, 0.9999]), seed=seeds,
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_distances_equal_their_twin(width, height, classes, bins, together, centre, clip, confidence, seed):
    rng = np.random.default_rng(seed)
    strides = np.array([8, 16, 64], np.int64)
    n = len(twin.points(strides.tolist(), width, height))
    table, spread = rng.random((n, classes)) ** 2, rng.normal(0, 5, (n, 4 * bins))
    column = classes if together else 0
    if together:
        table = spread = np.concatenate([table, spread], axis=1)
    table, spread = readable(table, spread)
    allowed = wanted(classes, rng)
    settings_ = (column, strides, centre, clip, width, height, allowed, confidence)
    same(
        distances.distances(table, spread, *settings_),
        twin.distances(table, spread, column, strides.tolist(), centre, clip, width, height, allowed, confidence),
    )


@given(
    n=counts, classes=st.integers(1, 9), upright=st.booleans(), kind=st.sampled_from(sorted(KINDS)), seed=seeds,
    spread=st.sampled_from([1.0, 1e4]),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_anchored_equals_its_twin(n, classes, upright, kind, seed, spread):
    rng = np.random.default_rng(seed)
    deltas, table = readable(rng.normal(0, spread, (n, 4)), rng.normal(0, 3, (n, 1 + classes)))
    if near_the_limit(table, 1, kind, classes, 0.4):
        return
    boxes = rng.random((n, 4))
    allowed = wanted(classes, rng)
    same(
        anchors.anchored(deltas, table, 1, KINDS[kind], boxes, upright, 300, 200, allowed, 0.4),
        twin.anchored(deltas, table, 1, kind, boxes, upright, 300, 200, allowed, 0.4),
    )


@given(across=st.integers(1, 25), down=st.integers(1, 25), classes=st.integers(1, 9), seed=seeds)
@settings(deadline=None, max_examples=30)
def test_cells_equal_their_twin(across, down, classes, seed):
    rng = np.random.default_rng(seed)
    maps = rng.random((5 + classes, down, across)).astype(np.float32)
    maps[1:5] = rng.normal(0, 3, (4, down, across))
    allowed = wanted(classes, rng)
    same(
        anchors.cells(heads.readable(maps), allowed, 0.6, 16 * across, 16 * down),
        twin.cells(maps, allowed, np.float32(0.6), 16 * across, 16 * down),
    )


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
def test_a_score_that_is_not_a_number_is_never_an_object(value):
    allowed = np.ones(3, np.bool_)
    table = np.full((50, 4), 0.1, np.float32)
    table[40, 2] = value
    boxes = np.zeros((50, 4), np.float32)
    for kind in KINDS.values():
        *_, state = scores.probable(heads.readable(table), 1, kind, allowed, 0.3)
        assert state == heads.NAN
    assert scores.boxed(heads.readable(boxes), heads.readable(table), 1, allowed, 0.3, 1.0, 1.0)[1] == heads.NAN
    maps = np.full((8, 3, 3), 0.1, np.float32)
    for row in (0, 6):
        broken = maps.copy()
        broken[row, 2, 2] = value
        assert anchors.cells(heads.readable(broken), allowed, 0.3, 48, 48)[1] == heads.NAN


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_boxes_of_any_number_end_or_are_told(value):
    one = np.ones(1, np.bool_)
    strides = np.array([8], np.int64)
    table = heads.readable(np.array([[0.1], [0.9]], np.float32))
    for place in range(2):
        spread = np.zeros((2, 32), np.float32)
        spread[place, 9] = value
        candidates, state = distances.distances(table, heads.readable(spread), 0, strides, 0.5, True, 16, 8, one, 0.5)
        assert candidates.shape == (6, 1)
        lost = place == 1 and not value < np.inf
        assert state == (heads.NAN if lost else heads.OK), "only candidates are looked at"
        if not lost:
            assert np.isfinite(candidates).all()
        deltas = np.zeros((2, 4), np.float32)
        deltas[place, 3] = value
        rows = heads.readable(np.array([[0, -5], [0, 5]], np.float32))
        candidates, state = anchors.anchored(
            heads.readable(deltas), rows, 1, scores.SOFTMAX, np.full((2, 4), 0.5), False, 300, 300, one, 0.5
        )
        assert state == (heads.NAN if place == 1 and np.isnan(value) else heads.OK)
        boxes = np.zeros((2, 4), np.float32)
        boxes[place, 3] = value
        candidates, state = scores.boxed(heads.readable(boxes), table, 0, one, 0.5, 1.0, 1.0)
        assert state == (heads.NAN if place == 1 and np.isnan(value) else heads.OK)


def test_the_best_class_decides_before_the_wish():
    table = heads.readable(np.array([[0.9, 0.8]], np.float32))
    boxes = heads.readable(np.zeros((1, 4), np.float32))
    allowed = np.array([False, True])
    assert scores.boxed(boxes, table, 0, allowed, 0.3, 1.0, 1.0)[0].shape == (6, 0)


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import twin_tables as twin
from vidette.kernels import anchors, distances, heads, scores
assert not hasattr(scores.best, "py_func")
rng = np.random.default_rng(0)
near = lambda found, expected: np.testing.assert_allclose(found[0].T, expected, rtol=1e-4, atol=1e-3)
table, spread = rng.random((30, 3)).astype(np.float32), rng.normal(0, 3, (30, 32)).astype(np.float32)
allowed, strides = np.ones(3, np.bool_), np.array([8, 16], np.int64)
given = (0, strides, 0.5, True, 48, 32, allowed, 0.5)
near(distances.distances(table, spread, *given), twin.distances(table, spread, *given))
boxes = rng.random((30, 4)).astype(np.float32)
near(scores.boxed(boxes, table, 1, allowed[:2], 0.5, 9.0, 8.0), twin.boxed(boxes, table, 1, allowed[:2], 0.5, 9, 8))
for name, kind in (("sigmoid", scores.SIGMOID), ("softmax", scores.SOFTMAX)):
    given = (boxes.astype(float), True, 300, 200, allowed[:2], 0.3)
    near(
        anchors.anchored(spread[:, :4], table, 1, kind, *given),
        twin.anchored(spread[:, :4], table, 1, name, *given),
    )
maps = rng.random((8, 4, 5)).astype(np.float32)
near(anchors.cells(maps, allowed, 0.5, 80, 64), twin.cells(maps, allowed, 0.5, 80, 64))
"""
    )
