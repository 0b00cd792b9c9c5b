import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import again_uncompiled
from vidette.kernels.merging import merge

UPRIGHT = np.empty((5, 0))


def twin(xyxy, confidence, class_id, part, iou, inside, agnostic, most):
    kept = []
    for i in sorted(range(len(confidence)), key=lambda i: -confidence[i]):
        a = [float(v) for v in xyxy[i]]
        for j in kept:
            b = [float(v) for v in xyxy[j]]
            w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if (class_id[i] != class_id[j] and not agnostic) or w <= 0 or h <= 0:
                continue
            areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
            if w * h > iou * (sum(areas) - w * h) or (part[i] != part[j] and w * h > inside * min(areas)):
                break
        else:
            kept.append(i)
    return kept[:most]


@given(
    n=st.sampled_from([0, 1, 2, 40, 400]), iou=st.sampled_from([0.3, 0.7]), inside=st.sampled_from([0.6, 1.0]),
    agnostic=st.booleans(), ties=st.booleans(), most=st.sampled_from([1, 300]), seed=st.integers(0, 50),
)  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_equal_to_its_twin(n, iou, inside, agnostic, ties, most, seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 300, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.integers(0, 90, (n, 2))], 1).astype(np.float32)
    confidence = (rng.integers(0, 4, n) / 4 if ties else rng.random(n)).astype(np.float32)
    class_id, part = rng.integers(0, 3, n).astype(np.int32), rng.integers(0, 4, n).astype(np.int32)
    rest = (iou, inside, agnostic, most)
    assert merge(xyxy, UPRIGHT, confidence, class_id, part, *rest).tolist() == twin(
        xyxy, confidence, class_id, part, *rest
    )


def test_half_an_object_gives_way_to_the_whole_one_of_another_part():
    xyxy = np.array([[0, 0, 100, 50], [0, 0, 40, 50]], np.float32)
    confidence, class_id = np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32)
    same, other = np.zeros(2, np.int32), np.arange(2, dtype=np.int32)
    assert merge(xyxy, UPRIGHT, confidence, class_id, other, 0.45, 0.7, False, 9).tolist() == [0]
    assert merge(xyxy, UPRIGHT, confidence, class_id, same, 0.45, 0.7, False, 9).tolist() == [0, 1]


def test_boxes_that_are_not_numbers_stay_alone():
    xyxy = np.array([[np.nan, 0, 9, 9], [0, 0, 9, np.inf], [0, 0, 9, 9]], np.float32)
    kept = merge(
        xyxy, UPRIGHT, np.ones(3, np.float32), np.zeros(3, np.int32), np.zeros(3, np.int32), 0.5, 0.7, False, 9
    )
    assert kept[0] == 0


def test_oriented_boxes_are_compared_as_they_lie():
    """Two parallel ones at 45 degrees: their upright boxes overlap, they do not."""
    oriented = np.array([[29, 35, 50, 8, np.pi / 4], [35, 29, 50, 8, np.pi / 4], [29.5, 35.5, 50, 8, np.pi / 4]]).T
    xyxy = np.array([[8, 14, 50, 56], [14, 8, 56, 50], [8, 15, 51, 56]], np.float32)
    confidence, class_id = np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32)
    part = np.arange(3, dtype=np.int32)
    rest = (confidence, class_id, part, 0.45, 0.7, False, 9)
    assert merge(xyxy, UPRIGHT, *rest).tolist() == [0]
    assert merge(xyxy, np.ascontiguousarray(oriented), *rest).tolist() == [0, 1]


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_half_an_oriented_object_gives_way_too(angle):
    oriented = np.array([[50, 50, 60, 20, angle], [50 - 15 * np.cos(angle), 50 - 15 * np.sin(angle), 30, 20, angle]]).T
    xyxy = np.array([[0, 0, 100, 100], [0, 0, 80, 80]], np.float32)
    confidence, class_id = np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32)
    rest = (confidence, class_id, np.arange(2, dtype=np.int32), 0.6, 0.7, False, 9)
    assert merge(xyxy, np.ascontiguousarray(oriented), *rest).tolist() == [0]


def test_without_the_compiler_the_same_comes_out():
    again_uncompiled(test_equal_to_its_twin)
