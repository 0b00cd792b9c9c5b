import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import twin, uncompiled
from vidette.kernels import heads

GRIDS = np.array([8, 16, 32], np.int64)
NONE = np.empty(0, np.int64)


def same(candidates, state, expected):
    assert state == heads.OK
    assert candidates.dtype == np.float32
    assert candidates.shape == (6, len(expected))
    np.testing.assert_allclose(candidates.T, np.reshape(expected, (-1, 6)), rtol=2e-5, atol=2e-3)


def without_places(found):
    candidates, places, state = found
    assert places.dtype == np.int64
    assert len(places) == candidates.shape[1]
    return candidates, state


def mask(classes, rng):
    allowed = rng.random(classes) < 0.7
    allowed[0] = True
    return allowed


@given(
    n=st.sampled_from([0, 1, 7, 1023, 1024, 1025, 2100]),
    classes=st.integers(1, 7),
    others=st.integers(0, 3),
    confidence=st.sampled_from([0.0, 0.25, 0.9, 0.9999]),
    ties=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_columns_equal_their_twin(n, classes, others, confidence, ties, seed):
    rng = np.random.default_rng(seed)
    head = rng.uniform(-50, 400, (4 + classes + others, n)).astype(np.float32)
    head[4 : 4 + classes] = rng.integers(0, 5, (classes, n)) / 4 if ties else rng.random((classes, n))
    allowed = mask(classes, rng)
    candidates, places, state = heads.columns(heads.readable(head), allowed, confidence)
    same(candidates, state, twin.columns(head[: 4 + classes], allowed, np.float32(confidence)))
    np.testing.assert_array_equal(candidates[4], head[4 : 4 + classes, places].max(axis=0, initial=-1))


@given(
    classes=st.integers(1, 5),
    others=st.integers(0, 3),
    confidence=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_rows_equal_their_twin(classes, others, confidence, seed):
    rng = np.random.default_rng(seed)
    width, height = 64, 96
    n = sum(width // s * (height // s) for s in GRIDS)
    head = rng.uniform(-3, 3, (n, 5 + classes + others)).astype(np.float32)
    head[:, 4 : 5 + classes] = rng.random((n, 1 + classes))
    head[:, 5 + classes :] = 9
    allowed = mask(classes, rng)
    seen, plain = heads.readable(head), head[:, : 5 + classes]
    candidates, places, state = heads.rows(seen, allowed, confidence, NONE, 0, 0)
    same(candidates, state, twin.rows(plain, allowed, confidence))
    np.testing.assert_array_equal(candidates[4], head[places, 4] * head[places, 5 : 5 + classes].max(axis=1))
    same(
        *without_places(heads.rows(seen, allowed, confidence, GRIDS, width, height)),
        twin.rows(plain, allowed, confidence, GRIDS.tolist(), width, height),
    )


@given(m=st.sampled_from([0, 1, 300]), others=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_objects_equal_their_twin(m, others, seed):
    rng = np.random.default_rng(seed)
    head = rng.uniform(0, 300, (m, 6)).astype(np.float32)
    head[:, 4] = rng.random(m)
    head[:, 5] = rng.integers(0, 9, m)
    head[m // 2 :] = 0
    allowed = mask(6, rng)
    found = without_places(heads.objects(heads.readable(head), allowed, others, 0.25))
    same(*found, twin.objects(head, allowed, others, 0.25))


@given(seed=st.integers(0, 99), confidence=st.sampled_from([0.2, 0.5]))
@settings(deadline=None, max_examples=20)
def test_centres_equal_their_twin(seed, confidence):
    rng = np.random.default_rng(seed)
    maps = [rng.uniform(-1, 3, (c, 16, 24)).astype(np.float32) for c in (1, 2, 2, 10)]
    maps[0] = rng.random((1, 16, 24)).astype(np.float32) ** 4
    candidates, points, state = heads.centres(*map(heads.readable, maps), confidence, 4)
    found, expected = twin.centres(*maps, confidence, 4)
    same(candidates, state, found)
    np.testing.assert_allclose(points, np.reshape(expected, (-1, 5, 2)), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
def test_a_score_that_is_not_a_number_is_never_an_object(value):
    one = np.ones(2, np.bool_)
    columns = np.full((6, 1500), 0.1, np.float32)
    columns[5, 1400] = value
    assert heads.columns(heads.readable(columns), one, 0.25)[-1] == heads.NAN
    rows = np.full((50, 7), 0.9, np.float32)
    for column in (4, 6):
        broken = rows.copy()
        broken[7, column] = value
        assert heads.rows(heads.readable(broken), one, 0.25, NONE, 0, 0)[-1] == heads.NAN
    for column in (4, 5):
        broken = np.ones((9, 6), np.float32)
        broken[8, column] = value
        assert heads.objects(heads.readable(broken), one, True, 0.25)[-1] == heads.NAN
    maps = [np.zeros((c, 8, 8), np.float32) for c in (1, 2, 2, 10)]
    maps[0][0, 7, 7] = value
    assert heads.centres(*map(heads.readable, maps), 0.5, 4)[2] == heads.NAN


def test_boxes_that_are_not_numbers_matter_only_where_there_is_an_object():
    head = np.full((5, 10), 0.1, np.float32)
    head[0, 3] = np.nan
    assert heads.columns(heads.readable(head), np.ones(1, np.bool_), 0.25)[-1] == heads.OK
    head[4, 3] = 0.5
    assert heads.columns(heads.readable(head), np.ones(1, np.bool_), 0.25)[-1] == heads.NAN


def test_a_score_equal_to_the_threshold_is_not_enough():
    head = np.array([[5, 5], [5, 5], [2, 2], [2, 2], [0.5, np.nextafter(np.float32(0.5), np.float32(1))]], np.float32)
    candidates, *_ = heads.columns(heads.readable(head), np.ones(1, np.bool_), 0.5)
    assert candidates.shape[1] == 1


def test_the_best_class_decides_before_the_wish():
    head = np.array([[5], [5], [2], [2], [0.9], [0.8]], np.float32)
    candidates, *_ = heads.columns(heads.readable(head), np.array([False, True]), 0.25)
    assert candidates.shape[1] == 0


def test_every_half_precision_number_widens_exactly():
    bits = np.arange(1 << 16, dtype=np.uint16)
    np.testing.assert_array_equal(heads.readable(bits.view(np.float16)), bits.view(np.float16).astype(np.float32))


def test_whatever_memory_there_is_one_compiled_version():
    head = np.random.default_rng(0).random((9, 64)).astype(np.float32)
    kinds = [head, np.asfortranarray(head), head.astype(np.float64), np.repeat(head, 2, 1)[:, ::2], head.copy()]
    kinds[-1].flags.writeable = False
    answers = [heads.columns(heads.readable(kind), np.ones(5, np.bool_), 0.25)[0] for kind in kinds]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    assert len(getattr(heads.columns, "signatures", [1])) == 1
    assert head.flags.writeable, "the runtime's own array is left as it was"


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import twin
from vidette.kernels import heads, nms
from vidette.pixels.letterbox import fit
rng = np.random.default_rng(0)
head = rng.uniform(0, 90, (7, 40)).astype(np.float32)
head[4:] = rng.random((3, 40))
allowed = np.ones(3, np.bool_)
found, _, state = heads.columns(heads.readable(head), allowed, 0.5)
assert not hasattr(heads.columns, "py_func") and state == heads.OK
np.testing.assert_allclose(found.T, twin.columns(head, allowed, 0.5), rtol=1e-5, atol=1e-4)
box = fit(200, 100, 96, 96, "letterbox")
kept = nms.finish(found, box.inverse, 200, 100, 0.45, False, 300, 3000)[3]
assert kept.tolist() == twin.suppress(found, 0.45, False, 300, 3000)
rows = rng.uniform(-1, 1, (20, 7)).astype(np.float32)
rows[:, 4:] = rng.random((20, 3))
grid = heads.rows(heads.readable(rows), allowed[:2], 0.2, np.array([8, 16]), 32, 32)[0]
np.testing.assert_allclose(grid.T, twin.rows(rows, allowed, 0.2, [8, 16], 32, 32) , rtol=1e-5, atol=1e-4)
assert heads.objects(heads.readable(rows[:, :6]), allowed, True, 2.0)[0].shape == (6, 0)
maps = [rng.random((c, 4, 4)).astype(np.float32) for c in (1, 2, 2, 10)]
np.testing.assert_allclose(heads.centres(*maps, 0.5, 4)[0].T, twin.centres(*maps, 0.5, 4)[0], rtol=1e-5, atol=1e-4)
half = np.arange(0, 1 << 16, 77, dtype=np.uint16).view(np.float16)
np.testing.assert_array_equal(heads.readable(half), half.astype(np.float32))
"""
    )
