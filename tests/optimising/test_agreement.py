"""Counting what a cheaper model lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.optimising.agreement import SURE, Agreement
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline


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


def shaped(**channels) -> Detections:
    """One sure object in a box of 30 x 40, whose diagonal is 50."""
    return Detections(
        np.array([[10, 10, 40, 50]], np.float32), np.array([0.9], np.float32), np.array([0], np.int32), ("a",),
        **channels,
    )  # fmt: skip


def points(*seen: tuple[float, float, float]) -> Detections:
    return shaped(keypoints=np.array([seen], np.float32))


def turned(width: float, height: float, degrees: float, x: float = 25.0) -> Detections:
    half, angle = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, height / 2), np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return shaped(corners=np.float32([half @ turn + (x, 30)]))


def mask(bits: np.ndarray, extent: tuple[float, float, float, float] = (10, 10, 40, 50)) -> Detections:
    return shaped(masks=Masks.of([bits.astype(np.uint8)], np.array([extent], np.float64), Outline()))


SOLID = np.ones((40, 30))
PART = np.arange(30) < 23  # of its columns: 0.77 of the area
EYES = (15, 20, 0.9), (30, 20, 0.9)


@pytest.mark.parametrize(
    ("original", "other", "lost"),
    [
        (points(*EYES), points(*EYES), 0),
        (points(*EYES), points((15, 24, 0.9), (30, 20, 0.9)), 0),  # 2 pixels in the mean, 4 % of the diagonal
        (points(*EYES), points((15, 26, 0.9), (30, 20, 0.9)), 1),  # 3 pixels
        (points(*EYES), points((15, 90, 0.1), (30, 20, 0.9)), 0),  # the other does not see it
        (points((15, 20, 0.1), (30, 20, 0.9)), points((15, 90, 0.9), (30, 20, 0.9)), 0),  # nor did the original
        (points(*EYES), points((15, 20, 0.1), (30, 20, 0.1)), 1),  # it sees none any more
        (points((15, 20, 0.1), (30, 20, 0.1)), points(*EYES), 0),
        (points((np.inf, 20, 0.9), (30, 20, 0.9)), points((np.inf, 20, 0.9), (30, 20, 0.9)), 0),
        (turned(40, 10, 30), turned(40, 10, 30), 0),
        (turned(40, 10, 30), turned(10, 40, -60), 0),  # the same rectangle, told otherwise
        (turned(40, 10, 30), turned(40, 10, 32), 0),
        (turned(40, 10, 30), turned(40, 10, -30), 1),  # in the same box
        (turned(30, 30, 0), turned(30, 30, 45), 1),
        (turned(40, 10, 0), turned(40, 10, 0, 35), 1),
        (turned(40, 10, 30), turned(20, 10, 30), 1),
        (mask(SOLID), mask(SOLID), 0),
        (mask(SOLID), mask(np.ones((4, 3))), 0),  # coarser samples of the same
        (mask(SOLID), mask(SOLID * PART), 1),
        (mask(SOLID), mask(SOLID, (10, 10, 36, 50)), 0),
        (mask(SOLID), mask(SOLID, (10, 10, 33, 50)), 1),
        (mask(SOLID * 0), mask(SOLID * 0), 0),
        (mask(SOLID), mask(SOLID * 0), 1),
    ],
)  # fmt: skip
def test_shapes(original, other, lost):
    """Boxes and classes are the same."""
    found = compared(original, other)
    assert (found.objects, found.lost, found.misshapen, found.new) == (1, lost, lost, 0)
    assert len(found.iou) == 1 - lost


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
