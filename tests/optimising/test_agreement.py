"""Counting what a cheaper model lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.optimising.agreement import SURE, Agreement
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections


def detections(*objects: tuple[float, float, float, int]) -> Detections:
    """left, side of a square, confidence, class."""
    return Detections(
        np.array([[x, 0, x + side, side] for x, side, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([confidence for _, _, confidence, _ in objects], np.float32),
        np.array([label for *_, label in objects], np.int32),
        ("a", "b"),
    )


def compared(original, other) -> Agreement:
    found = Agreement()
    found.add(original, other)
    return found


@pytest.mark.parametrize(
    ("original", "other", "objects", "lost", "new"),
    [
        ([], [], 0, 0, 0),
        ([(0, 10, 0.9, 0)], [(0, 10, 0.3, 0)], 1, 0, 0),  # found again, if less surely
        ([(0, 10, 0.9, 0)], [(0, 10, 0.9, 1)], 1, 1, 1),  # of another class
        ([(0, 10, 0.9, 0)], [(8, 10, 0.9, 0)], 1, 1, 1),  # elsewhere
        ([(0, 10, 0.9, 0)], [], 1, 1, 0),
        ([(0, 10, 0.3, 0)], [], 0, 0, 0),  # it was not sure
        ([(0, 10, 0.3, 0)], [(0, 10, 0.9, 0)], 0, 0, 0),  # nor is this new
        ([], [(0, 10, 0.9, 0)], 0, 0, 1),
        ([(0, 10, 0.9, 0), (1, 10, 0.8, 0)], [(0, 10, 0.9, 0)], 2, 1, 0),  # one counterpart serves once
    ],
)
def test_boxes(original, other, objects, lost, new):
    found = compared(detections(*original), detections(*other))
    assert (found.pictures, found.objects, found.lost, found.new) == (1, objects, lost, new)
    assert len(found.iou) == len(found.confidence) == objects - lost


def test_classes():
    def classes(*scores):
        return Classification(np.array(scores, np.float32), ("a", "b", "c"), np.array([0], np.int32))

    assert compared(classes(0.8, 0.1, 0.1), classes(0.5, 0.3, 0.2)).lost == 0
    assert compared(classes(0.8, 0.1, 0.1), classes(0.1, 0.5, 0.4)).lost == 1
    assert compared(classes(0.3, 0.3, 0.2), classes(0.1, 0.5, 0.4)).objects == 0


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 1, width=32), st.integers(0, 1)), max_size=30)
)
def test_a_model_agrees_with_itself(objects):
    """Boxes without area overlap nothing, themselves neither."""
    solid = [each for each in objects if np.float32(each[0] + each[1]) > np.float32(each[0]) and each[1] > 1e-3]
    found = compared(detections(*solid), detections(*solid))
    assert (found.lost, found.new) == (0, 0)
    assert found.objects == sum(confidence > np.float32(SURE) for _, _, confidence, _ in solid)
