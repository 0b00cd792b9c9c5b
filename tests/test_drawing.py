import subprocess
import sys

import cv2
import numpy as np
import pytest

from vidette.drawing import annotate
from vidette.predictions.detections import Detections

GREY = 90


def scene(width: int = 640, height: int = 360) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def detections(*boxes: tuple[float, float, float, float], classes=(), keypoints=None) -> Detections:
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.87, np.float32),
        np.array(classes or [0] * n, np.int32),
        ["person", "bus"],
        None if keypoints is None else np.array(keypoints, np.float32),
    )


def drawn(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=2)


def test_draws_on_a_copy():
    picture = scene()
    picture.setflags(write=False)
    out = annotate(picture, detections((100, 100, 300, 300)))
    assert (picture == GREY).all()
    assert out.shape == picture.shape
    assert out.dtype == np.uint8
    assert drawn(out).any()


def test_nothing_found_is_the_same_picture_in_an_own_array():
    picture = scene()
    out = annotate(picture, Detections.none(["person"], keypoints=5))
    assert out is not picture
    assert not np.shares_memory(out, picture)
    assert not drawn(out).any()


def test_the_box_is_where_the_object_is():
    inked = drawn(annotate(scene(), detections((100, 150, 300, 300))))
    for y, x in ((300, 200), (225, 100), (225, 300), (150, 250)):
        assert inked[y, x], f"no line at x {x}, y {y}"
    assert not inked[225, 200], "the inside stays to be seen"
    assert not inked[320:].any()


def test_classes_have_their_own_colours():
    out = annotate(
        scene(), detections((100, 100, 200, 200), (300, 100, 400, 200), (450, 100, 550, 200), classes=(0, 1, 0))
    )
    first, other, same = out[150, 100], out[150, 300], out[150, 450]
    assert (first == same).all()
    assert (first != other).any()


@pytest.mark.parametrize("box", [(0, 0, 200, 300), (620, 100, 640, 200), (0, 340, 30, 360)])
def test_labels_stand_inside_the_picture(box):
    out = annotate(scene(), detections(box))
    white = (out > 200).all(axis=2)
    text, _ = cv2.getTextSize("person 0.87", cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
    columns = np.flatnonzero(white.any(axis=0))
    assert columns[-1] - columns[0] > 0.9 * text[0] - 4, "the label is cut off"


def test_landmarks_are_dots_and_those_that_were_not_seen_are_left_out():
    points = [[[110, 110, 0.9], [190, 110, 0.01], [np.nan, 150, 0.9], [5000, 150, 0.9]]]
    out = annotate(scene(), detections((100, 100, 200, 200), keypoints=points))
    assert (out[110, 110] == 255).all()
    assert not drawn(out)[110, 190]


def test_lines_grow_with_the_picture():
    def thickness(width: int, height: int) -> int:
        box = (0.25 * width, 0.5 * height, 0.75 * width, 0.9 * height)
        return int(drawn(annotate(scene(width, height), detections(box)))[:, width // 2].sum())

    assert thickness(3840, 2160) > thickness(640, 360)


@pytest.mark.parametrize("size", [(1, 1), (2, 31), (33, 17)])
def test_tiny_pictures(size):
    out = annotate(scene(*size), detections((0, 0, *size)))
    assert out.shape == (size[1], size[0], 3)


def test_supervision_is_loaded_only_by_those_who_draw():
    code = "import sys, vidette.drawing; sys.exit('supervision' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )
