import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kernels import twin_rotated as twin
from tests.kernels import uncompiled
from vidette.kernels import heads, rotated
from vidette.pixels.letterbox import fit

BIG = 10**6


def crowd(rng, n, classes=5, spread=200.0, ties=False):
    """(6, n) candidates and (5, n) boxes."""
    candidates = np.zeros((6, n), np.float32)
    candidates[4] = rng.integers(1, 5, n) / 8 if ties else rng.uniform(0.01, 1, n)
    candidates[5] = rng.integers(0, classes, n)
    boxes = np.concatenate([rng.uniform(0, spread, (2, n)), rng.uniform(2, 90, (2, n)), rng.uniform(-4, 4, (1, n))])
    return candidates, boxes.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("n", [0, 1, 2, 64, 65, 150])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_suppress_equals_its_twin(n, exact, ties):
    candidates, boxes = crowd(np.random.default_rng(n), n, ties=ties)
    for iou, agnostic, most, enter in (
        (0.0, False, BIG, BIG), (0.2, True, BIG, BIG), (0.45, False, BIG, BIG), (0.45, True, 7, BIG),
        (0.45, True, BIG, 50), (0.7, True, 3, 20), (1.0, True, BIG, BIG),
    ):  # fmt: skip
        expected = twin.suppress(candidates, boxes, iou, exact, agnostic, most, enter)
        assert rotated.suppress(candidates, boxes, iou, exact, agnostic, most, enter).tolist() == expected


def drawn(data, n):
    candidates = np.zeros((6, n), np.float32)
    candidates[4] = data.draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=n, max_size=n))
    candidates[5] = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return candidates


@given(
    arrays(np.float64, st.tuples(st.just(2), st.integers(0, 25)), elements=st.sampled_from([0, 3, 7, -20, 40])),
    st.data(),
    st.sampled_from([0.1, 0.37, 0.62]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_any_ordinary_boxes(places, data, iou, exact, agnostic):
    n = places.shape[1]
    sizes = data.draw(arrays(np.float64, (2, n), elements=st.sampled_from([1, 5, 8, 30, -10])))
    angles = data.draw(arrays(np.float64, (1, n), elements=st.sampled_from([0, 0.3, math.pi / 2, -1.1, 7, 100])))
    candidates, boxes = drawn(data, n), np.concatenate([places, sizes, angles])
    assume(not twin.close_calls(candidates, boxes, iou, exact))
    expected = twin.suppress(candidates, boxes, iou, exact, agnostic, BIG, BIG)
    assert rotated.suppress(candidates, boxes, iou, exact, agnostic, BIG, BIG).tolist() == expected


@given(
    arrays(
        np.float32,
        st.tuples(st.just(5), st.integers(0, 40)),
        elements=st.sampled_from([0, 1, -1, 8, 40, 1e4, 1e20, 3e38, -3e38, np.inf, -np.inf, np.nan]),
    ),
    st.data(),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_any_numbers_at_all(numbers, data, exact, agnostic):
    n = numbers.shape[1]
    candidates, places = drawn(data, n), np.arange(n)
    head = heads.readable(np.concatenate([numbers, np.zeros((1, n), np.float32)])[[0, 1, 2, 3, 5, 4]])
    boxes, state = rotated.boxes(head, places, 5)
    np.testing.assert_array_equal(boxes, numbers)
    assert state == (heads.OK if np.isfinite(numbers).all() else heads.NAN)
    kept = rotated.suppress(candidates, boxes, 0.45, exact, agnostic, BIG, BIG).tolist()
    assert kept == sorted(kept, key=lambda i: (-candidates[4, i], i)), "best first, equal ones in order"
    assert len(set(kept)) == len(kept)
    for label in set() if agnostic else set(candidates[5].tolist()):
        of_class = np.flatnonzero(candidates[5] == label)
        assert of_class[np.argmax(candidates[4, of_class])] in kept, "nothing suppresses the best of a class"


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=200)
def test_shared_area_equals_its_twin_and_opencv(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-30, 30, 5), rng.uniform(-30, 30, 5)
    packed, points = np.empty((10, 2)), np.empty((2, 8, 2))
    for k, box in enumerate((a, b)):
        rotated.describe(packed, k, box[:, None].copy(), 0)
    shared = rotated.shared_area(packed, 0, 1, points)
    union = abs(a[2] * a[3]) + abs(b[2] * b[3]) - shared
    np.testing.assert_allclose(shared / union, twin.iou(a, b), atol=1e-9)
    first, second = (((x, y), (abs(w), abs(h)), math.degrees(r)) for x, y, w, h, r in (a, b))
    polygon = cv2.rotatedRectangleIntersection(first, second)[1]
    area = 0.0 if polygon is None else cv2.contourArea(cv2.convexHull(polygon))
    np.testing.assert_allclose(shared, area, rtol=1e-3, atol=0.05)


def pair(*boxes):
    candidates = np.zeros((6, len(boxes)), np.float32)
    candidates[4] = 0.9 - 0.1 * np.arange(len(boxes))
    return candidates, np.array(boxes, np.float64).T.copy()


def test_an_exact_overlap_equal_to_the_limit_stays():
    halves = pair((5, 5, 10, 10, 0), (5, 2.5, 10, 5, 0))  # IoU exactly 0.5
    assert rotated.suppress(*halves, 0.5, True, False, BIG, BIG).tolist() == [0, 1]
    assert rotated.suppress(*halves, 0.49, True, False, BIG, BIG).tolist() == [0]


def test_probiou_of_the_same_box_turned_by_half_a_turn_is_one():
    same = pair((5, 5, 30, 10, 0.4), (5, 5, 30, 10, 0.4 + math.pi), (5, 5, 10, 30, 0.4 - math.pi / 2))
    for exact in (False, True):
        assert rotated.suppress(*same, 0.99, exact, False, BIG, BIG).tolist() == [0]
    across = pair((5, 5, 30, 10, 0.4), (5, 5, 30, 10, 0.4 + math.pi / 2))
    for exact in (False, True):
        assert rotated.suppress(*across, 0.7, exact, False, BIG, BIG).tolist() == [0, 1]


def test_only_in_fast_suppression_a_suppressed_box_suppresses():
    chain = pair((0, 0, 10, 10, 0), (3, 0, 10, 10, 0), (6, 0, 10, 10, 0))
    assert rotated.suppress(*chain, 0.45, True, False, BIG, BIG).tolist() == [0, 2]
    assert rotated.suppress(*chain, 0.45, False, False, BIG, BIG).tolist() == [0]


@pytest.mark.parametrize("exact", [False, True])
def test_thousands_in_one_place_leave_one_of_each_class(exact):
    candidates = np.zeros((6, 5000), np.float32)
    candidates[4] = np.linspace(0.3, 0.9, 5000)
    candidates[5] = np.arange(5000) % 3
    boxes = np.tile([[100.0], [50], [40], [20], [0.7]], (1, 5000))
    assert rotated.suppress(candidates, boxes, 0.45, exact, False, 300, BIG).tolist() == [4999, 4998, 4997]
    assert rotated.suppress(candidates, boxes, 0.45, exact, True, 300, BIG).tolist() == [4999]


def test_boxes_without_area_as_published():
    lines = pair((10, 10, 30, 0, 0), (10, 10, 30, 0, 0), (10, 40, 30, 0, 0))
    assert rotated.suppress(*lines, 0.45, False, False, BIG, BIG).tolist() == [0, 2]
    assert twin.suppress(*lines, 0.45, False, False, BIG, BIG) == [0, 2]
    assert rotated.suppress(*lines, 0.45, True, False, BIG, BIG).tolist() == [0, 1, 2], "they share no area"


@pytest.mark.parametrize("resize", ["letterbox", "topleft", "stretch"])
def test_finish_maps_back_and_encloses(resize):
    candidates, boxes = crowd(np.random.default_rng(3), 60, spread=160)
    boxes[3, ::7] *= -1  # YOLO26 can return negative sides
    letterbox = fit(600, 401, 160, 160, resize)
    corners, xyxy, confidence, class_id = rotated.finish(
        candidates, boxes, letterbox.inverse, 600, 401, 0.45, False, False, 100, 1000
    )
    chosen = twin.suppress(candidates, boxes, 0.45, False, False, 100, 1000)
    expected = np.array([twin.to_source(boxes[:, i], letterbox) for i in chosen])
    np.testing.assert_allclose(corners, expected, atol=1e-3)
    enclosing = np.concatenate([expected.min(1), expected.max(1)], 1).clip(0, [600, 401, 600, 401])
    np.testing.assert_allclose(xyxy, enclosing, atol=1e-3)
    np.testing.assert_array_equal(confidence, candidates[4, chosen])
    np.testing.assert_array_equal(class_id, candidates[5, chosen].astype(int))
    kinds = (corners.dtype, xyxy.dtype, confidence.dtype, class_id.dtype)
    assert kinds == (np.float32, np.float32, np.float32, np.int32)


def test_without_the_compiler_the_same_comes_out():
    uncompiled(
        """
import numpy as np
from tests.kernels import twin_rotated as twin
from tests.kernels.test_rotated import crowd
from vidette.kernels import heads, rotated
from vidette.pixels.letterbox import fit
assert not hasattr(rotated.suppress, "py_func")
candidates, boxes = crowd(np.random.default_rng(0), 40)
again, state = rotated.boxes(heads.readable(boxes), np.arange(40), 4)
assert state == heads.OK and (again == boxes).all()
box = fit(200, 100, 96, 96, "letterbox")
for exact in (False, True):
    expected = twin.suppress(candidates, boxes, 0.3, exact, True, 300, 3000)
    assert rotated.suppress(candidates, boxes, 0.3, exact, True, 300, 3000).tolist() == expected
    corners = rotated.finish(candidates, boxes, box.inverse, 200, 100, 0.3, exact, True, 300, 3000)[0]
    np.testing.assert_allclose(corners, [twin.to_source(boxes[:, i], box) for i in expected], atol=1e-3)
"""
    )
