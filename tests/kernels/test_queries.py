import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import uncompiled
from vidette.kernels import heads, queries
from vidette.pixels.letterbox import fit

COUNTS = st.sampled_from([0, 1, 7, 300, 2000])
CONFIDENCES = st.sampled_from([0.0, 0.05, 0.5, 0.99, 1.0])


def box(values, width, height):
    x, y, w, h = (float(v) for v in values)
    return [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]


def twin_of_pairs(boxes, scores, allowed, confidence, width, height, logits):
    found, places = [], []
    for q, row in enumerate(scores.tolist()):
        for c, value in enumerate(row[: len(allowed)]):
            score = 1 / (1 + math.exp(-value)) if logits else value
            if np.float32(score) > np.float32(confidence) and allowed[c]:
                found.append([*box(boxes[q], width, height), score, c])
                places.append(q)
    return found, places


def twin_of_exclusive(boxes, logits, allowed, confidence, width, height):
    found, places = [], []
    for q, row in enumerate(logits.tolist()):
        powers = [math.exp(value - max(row)) for value in row]
        best = max(range(len(row) - 1), key=lambda c: row[c])
        score = powers[best] / sum(powers)
        if np.float32(score) > np.float32(confidence) and best < len(allowed) and allowed[best]:
            found.append([*box(boxes[q], width, height), score, best])
            places.append(q)
    return found, places


def twin_of_masks(logits, chosen, letterbox, accurate):
    """Whole pictures: (height, width) bool per mask; with `accurate` off, the cells."""
    if not accurate:
        return [logits[q] > 0 for q in chosen]
    _, down, across = logits.shape
    answers = []
    for q in chosen:
        picture = np.zeros((letterbox.height, letterbox.width), bool)
        for y in range(letterbox.height):
            for x in range(letterbox.width):
                u, v = letterbox.to_input(np.array([x + 0.5, y + 0.5]))
                u = min(max(u * across / letterbox.input_width - 0.5, 0), across - 1)
                v = min(max(v * down / letterbox.input_height - 0.5, 0), down - 1)
                i, j = int(u), int(v)
                right, below = min(i + 1, across - 1), min(j + 1, down - 1)
                upper = float(logits[q, j, i]) * (1 - (u - i)) + float(logits[q, j, right]) * (u - i)
                lower = float(logits[q, below, i]) * (1 - (u - i)) + float(logits[q, below, right]) * (u - i)
                picture[y, x] = upper * (1 - (v - j)) + lower * (v - j) > 0
        answers.append(picture)
    return answers


def same(answer, expected):
    candidates, places, state = answer
    found, wanted = expected
    assert state == heads.OK
    assert candidates.dtype == np.float32
    assert candidates.flags.c_contiguous
    np.testing.assert_allclose(candidates.T, np.reshape(found, (-1, 6)), rtol=2e-5, atol=2e-3)
    np.testing.assert_array_equal(places, np.array(wanted, np.int64))
    assert places.dtype == np.int64


def made(rng, n, classes, ties):
    boxes = rng.uniform(-0.2, 1.2, (n, 4)).astype(np.float32)
    values = rng.integers(-3, 4, (n, classes)) if ties else rng.normal(0, 4, (n, classes))
    allowed = rng.random(classes) < 0.7
    allowed[0] = True
    return heads.readable(boxes), heads.readable(values.astype(np.float32)), allowed


@given(
    n=COUNTS, classes=st.integers(1, 9), spare=st.integers(0, 2), confidence=CONFIDENCES,
    ties=st.booleans(), logits=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_pairs_equal_their_twin(n, classes, spare, confidence, ties, logits, seed):
    rng = np.random.default_rng(seed)
    boxes, values, allowed = made(rng, n, classes + spare, ties)
    allowed = allowed[:classes].copy()
    expected = twin_of_pairs(boxes, values, allowed, confidence, 640, 480, logits)
    same(queries.pairs(boxes, values, allowed, confidence, 640, 480, logits), expected)


@given(
    n=COUNTS, classes=st.integers(1, 9), confidence=CONFIDENCES, ties=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_exclusive_equals_its_twin(n, classes, confidence, ties, seed):
    boxes, values, allowed = made(np.random.default_rng(seed), n, classes + 1, ties)
    allowed = allowed[:classes].copy()
    expected = twin_of_exclusive(boxes, values, allowed, confidence, 640, 480)
    same(queries.exclusive(boxes, values, allowed, confidence, 640, 480), expected)


@given(n=COUNTS, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_corners_equal_their_twin(n, seed):
    head = np.random.default_rng(seed).uniform(-1, 2, (n, 6)).astype(np.float32)
    rows = queries.corners(heads.readable(head), 640, 480)
    expected = [[*box(row[:4], 640, 480), *row[4:]] for row in head]
    np.testing.assert_allclose(rows, np.reshape(expected, (-1, 6)), rtol=1e-5, atol=1e-3)


@given(
    down=st.integers(1, 9), across=st.integers(1, 9), width=st.integers(1, 40), height=st.integers(1, 40),
    resize=st.sampled_from(["stretch", "letterbox", "topleft"]), accurate=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_masks_equal_their_twin(down, across, width, height, resize, accurate, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, (4, down, across)).astype(np.float32)
    logits[3] = -1  # nothing
    chosen = np.array([2, 0, 3, 2], np.int64)
    letterbox = fit(width, height, 32, 24, resize)
    found = queries.masks(heads.readable(logits), chosen, letterbox.inverse, 32, 24, width, height, accurate)
    bits, starts, sizes, extents = found
    assert (bits.dtype, starts.dtype, sizes.dtype, extents.dtype) == (np.uint8, np.int64, np.int32, np.float64)
    assert len(bits) == sizes.astype(int).prod(1).sum()
    for k, wanted in enumerate(twin_of_masks(logits, chosen, letterbox, accurate)):
        rows, columns = sizes[k]
        crop = bits[starts[k] : starts[k] + rows * columns].reshape(rows, columns)
        ours = np.zeros_like(wanted)
        left, top, right, bottom = extents[k]
        if accurate:
            ours[int(top) : int(bottom), int(left) : int(right)] = crop
            assert (ours != wanted).sum() <= 1  # float32 against float64
        elif wanted.any():
            places = np.array([[left, top], [right, bottom]])
            cells = letterbox.to_input(places) / (32 / across, 24 / down)
            (x1, y1), (x2, y2) = np.rint(cells).astype(int)
            np.testing.assert_allclose(cells, [[x1, y1], [x2, y2]], atol=1e-6)
            ours[y1:y2, x1:x2] = crop
            np.testing.assert_array_equal(ours, wanted)
        else:
            assert crop.size == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(value):
    boxes, logits, _ = made(np.random.default_rng(0), 9, 5, ties=False)
    broken = logits.copy()
    broken[8, 3] = value
    seen = heads.readable(broken)
    assert queries.pairs(boxes, seen, np.ones(5, bool), 0.5, 64, 64, True)[-1] == heads.NAN
    assert queries.pairs(boxes, seen, np.ones(5, bool), 0.5, 64, 64, False)[-1] == heads.NAN
    assert queries.exclusive(boxes, seen, np.ones(4, bool), 0.5, 64, 64)[-1] == heads.NAN
    assert queries.pairs(boxes, seen, np.ones(3, bool), 0.5, 64, 64, True)[-1] == heads.OK  # a slot for nothing


def test_boxes_that_are_not_numbers_matter_only_where_there_is_an_object():
    boxes = np.full((2, 4), 0.5, np.float32)
    boxes[1, 2] = np.nan
    logits = np.array([[3.0, -9.0], [-9.0, -9.0]], np.float32)
    none, one = heads.readable(logits), heads.readable(-logits[:, ::-1])
    for given_logits, state in ((none, heads.OK), (one, heads.NAN)):
        assert queries.pairs(heads.readable(boxes), given_logits, np.ones(2, bool), 0.5, 9, 9, True)[-1] == state


def test_masks_of_logits_that_are_not_numbers_have_nothing_there():
    logits = np.full((1, 3, 3), np.nan, np.float32)
    box = fit(9, 9, 9, 9, "stretch")
    one = np.zeros(1, np.int64)
    assert queries.masks(heads.readable(logits), one, box.inverse, 9, 9, 9, 9, True)[2].tolist() == [[0, 0]]
    logits[0, 1, 1] = np.inf
    bits = queries.masks(heads.readable(logits), one, box.inverse, 9, 9, 9, 9, False)[0]
    assert bits.tolist() == [1]


def test_huge_logits_and_boxes():
    boxes = np.array([[1e30, -1e30, 1e30, 1e30], [0.5, 0.5, np.inf, 1]], np.float32)
    logits = np.array([[3e38, -3e38], [-3e38, 90]], np.float32)
    candidates, places, state = queries.pairs(
        heads.readable(boxes), heads.readable(logits), np.ones(2, bool), 0.5, 640, 640, True
    )
    assert (state, places.tolist(), candidates[4].tolist()) == (heads.OK, [0, 1], [1.0, 1.0])
    candidates, places, state = queries.exclusive(
        heads.readable(boxes), heads.readable(logits), np.ones(1, bool), 0.5, 640, 640
    )
    assert (state, places.tolist(), candidates[4].tolist()) == (heads.OK, [0], [1.0])


def test_whatever_memory_there_is_one_compiled_version():
    boxes, logits, allowed = made(np.random.default_rng(0), 9, 5, ties=False)
    for kind in (logits, np.asfortranarray(logits), logits.astype(np.float64), logits[::2].repeat(2, 0)[:9]):
        queries.pairs(heads.readable(boxes), heads.readable(kind), allowed, 0.5, 64, 64, True)
    assert len(getattr(queries.pairs, "signatures", [1])) == 1


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import test_queries as t
from vidette.kernels import heads, queries
from vidette.pixels.letterbox import fit
assert not hasattr(queries.pairs, "py_func")
rng = np.random.default_rng(0)
boxes, logits, allowed = t.made(rng, 20, 5, ties=False)
for kind in (True, False):
    t.same(queries.pairs(boxes, logits, allowed, 0.4, 64, 32, kind),
           t.twin_of_pairs(boxes, logits, allowed, 0.4, 64, 32, kind))
t.same(queries.exclusive(boxes, logits, allowed[:4], 0.4, 64, 32),
       t.twin_of_exclusive(boxes, logits, allowed[:4], 0.4, 64, 32))
head = rng.random((5, 6)).astype(np.float32)
np.testing.assert_allclose(queries.corners(head, 64, 32)[:, :4], [t.box(r[:4], 64, 32) for r in head], atol=1e-4)
maps = heads.readable(rng.normal(size=(1, 4, 4)).astype(np.float32))
box = fit(20, 10, 16, 16, "stretch")
bits, _, sizes, extents = queries.masks(maps, np.zeros(1, np.int64), box.inverse, 16, 16, 20, 10, True)
left, top, right, bottom = extents[0].astype(int)
whole = t.twin_of_masks(maps, [0], box, True)[0]
assert (bits.reshape(sizes[0]) == whole[top:bottom, left:right]).all() and whole.sum() == bits.sum()
"""
    )


@pytest.mark.parametrize(("width", "height", "cell"), [(10, 40, (2, 7)), (40, 10, (5, 3)), (10, 10, (5, 7))])
def test_an_object_in_the_border_of_the_letterbox_has_no_pixel(width, height, cell):
    """Beyond the last pixel there was memory of others: without bounds an index there ended the process."""
    logits = np.full((2, 6, 8), -1, np.float32)
    logits[0][cell] = 1
    logits[1, 0, 0] = 1
    letterbox = fit(width, height, 32, 24, "topleft")
    arguments = heads.readable(logits), np.array([0, 1, 0]), letterbox.inverse, 32, 24, width, height, True
    for masks in (queries.masks.py_func, queries.masks):  # as plain Python it tells an index that is out of bounds
        bits, starts, sizes, _ = masks(*arguments)
        pixels = sizes.astype(int).prod(1)
        assert (pixels > 0).tolist() == [False, True, False]
        assert len(bits) == pixels.sum()
        assert bits[starts[1]] == 1
