import subprocess
import sys
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.drawing.scenes import GREY, drawn, scene
from vidette.drawing import annotate
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.skeletons import COCO_17, Skeleton


def detections(*boxes: tuple[float, float, float, float], classes=(), keypoints=None) -> Detections:
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.87, np.float32),
        np.array(classes or [0] * n, np.int32),
        ["person", "bus"],
        None if keypoints is None else np.array(keypoints, np.float32),
    )


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


def ellipse(width: int, height: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    return cv2.ellipse(mask, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 1, -1)


def with_masks(found: Detections, *crops: np.ndarray) -> Detections:
    return replace(found, masks=Masks.of(list(crops), found.xyxy.astype(np.float64), Outline()))


@pytest.mark.parametrize("samples", [16, 160, 320], ids=["coarse", "as the picture", "fine"])
def test_a_mask_tints_its_object_and_nothing_else(samples):
    plain = detections((100, 100, 260, 260))
    change = (annotate(scene(), with_masks(plain, ellipse(samples, samples))) != annotate(scene(), plain)).any(axis=2)
    y, x = np.mgrid[:360, :640] + 0.5
    radius = np.hypot(x - 180, y - 180)
    coarse = 160 / samples
    assert change[radius < 76 - coarse].all()
    assert not change[radius > 82 + 2 * coarse].any()


def test_a_mask_lets_the_picture_shine_through_and_has_a_rim():
    out = annotate(scene(), with_masks(detections((100, 100, 260, 260)), np.pad(ellipse(100, 100), 30)))
    colour = out[180, 100].astype(int)  # of the box
    np.testing.assert_allclose(out[180, 180], 0.6 * GREY + 0.4 * colour, atol=1)
    assert (out[180, 126:134] == colour).all(axis=1).any()
    assert (out[180, 120] == GREY).all()


def test_holes_stay_open():
    crop = ellipse(160, 160)
    crop[60:100, 60:100] = 0
    out = annotate(scene(), with_masks(detections((100, 100, 260, 260)), crop))
    assert (out[180, 180] == GREY).all()
    assert drawn(out)[130, 180]


def test_small_masks_lie_over_large_ones():
    full = np.ones((4, 4), np.uint8)
    small, large = (150, 150, 200, 200), (100, 100, 300, 300)
    for boxes, classes in (((small, large), (1, 0)), ((large, small), (0, 1))):
        out = annotate(scene(), with_masks(detections(*boxes, classes=classes), full, full))
        box = out[190, 150].astype(int)
        under = out[250, 250].astype(int)
        np.testing.assert_allclose(out[175, 175], 0.6 * under + 0.4 * box, atol=2)


def test_masks_reach_beyond_the_picture():
    found = detections((-100, -50, 50, 60), (600, 300, 1e9, 1e9), (np.nan, 0, 9, 9), (-1e30, -1e30, 1e30, 1e30))
    out = annotate(scene(), with_masks(found, *[np.ones((9, 7), np.uint8)] * 4))
    assert drawn(out)[30, 40]


def oriented(*objects: np.ndarray) -> Detections:
    corners = np.array(objects, np.float32)
    return replace(detections(*np.concatenate([corners.min(1), corners.max(1)], 1)), corners=corners)


def test_oriented_boxes_are_drawn_as_they_lie():
    inked = drawn(annotate(scene(), oriented(np.array([[200, 150], [300, 250], [250, 300], [150, 200]]))))
    for x, y in ((250, 200), (275, 275), (200, 250)):
        assert inked[y, x], f"no line at x {x}, y {y}"
    assert not inked[160, 290], "the upright box is not theirs"
    assert not inked[300, 155:240].any()


@pytest.mark.parametrize("turn", range(4))
def test_the_label_of_an_oriented_box_stands_on_its_upper_left_corner(turn):
    corners = np.roll([[100, 200], [300, 120], [330, 200], [130, 280]], turn, axis=0)
    inked = drawn(annotate(scene(), oriented(corners)))
    assert inked[188:198, 105:150].any(axis=0).all()


def test_bones_join_the_points_that_were_seen():
    names = tuple("abcd")
    points = [[[120, 120, 0.9], [220, 120, 0.9], [220, 220, 0.9], [120, 220, 0.1]]]
    found = detections((100, 100, 300, 300), keypoints=points)
    bones = Skeleton("square", names, ((0, 1), (1, 2), (2, 3), (3, 0)))
    inked = drawn(annotate(scene(), replace(found, skeleton=bones)))
    assert inked[120, 170]
    assert inked[170, 220]
    assert not inked[220, 170]
    assert not inked[170, 120]
    assert not drawn(annotate(scene(), found))[120, 170], "points without a skeleton are dots"


def test_far_away_people_are_not_hidden_by_their_joints():
    def white(size: float) -> int:
        points = np.ones((1, 2, 3))
        points[0, :, :2] = [[100, 100], [100, 100 + size]]
        bones = Skeleton("bone", ("a", "b"), ((0, 1),))
        found = replace(detections((90, 90, 110, 340), keypoints=points), skeleton=bones)
        return int((annotate(scene(), found)[92:, 92:108] == 255).all(axis=2).sum())

    assert 0 < white(40) < white(200)


def test_a_pose_has_the_colour_of_its_class():
    points = np.full((1, 17, 3), 0.9)
    points[0, :, 0], points[0, :, 1] = np.linspace(120, 280, 17), np.linspace(120, 280, 17)[::-1]
    found = replace(detections((100, 100, 300, 300), classes=(1,), keypoints=points), skeleton=COCO_17)
    out = annotate(scene(), found)
    assert (out == out[250, 100]).all(axis=2)[110:290, 110:290].any()


def test_what_lies_outside_is_left_out_with_its_label():
    out = annotate(scene(), detections((-200, 10, -100, 90), (700, 10, 800, 90), (10, 400, 90, 500)))
    assert not drawn(out).any()


numbers = st.floats(width=32) | st.floats(-50, 700, width=32)


@settings(max_examples=60, deadline=None)
@given(
    boxes=arrays(np.float32, (3, 4), elements=numbers),
    confidence=arrays(np.float32, 3, elements=numbers),
    keypoints=arrays(np.float32, (3, 17, 3), elements=numbers),
    corners=st.none() | arrays(np.float32, (3, 4, 2), elements=numbers),
    sizes=arrays(np.int32, (3, 2), elements=st.integers(0, 5)),
)
def test_no_geometry_is_too_strange(boxes, confidence, keypoints, corners, sizes):
    found = Detections(
        boxes, confidence, np.array([0, 80, 2**31 - 1], np.int32), ("a",),
        keypoints=keypoints, skeleton=COCO_17, corners=corners,
        masks=Masks.of([np.ones(size, np.uint8) for size in sizes], boxes.astype(np.float64), Outline()),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = annotate(scene(64, 48), found)
    assert out.shape == (48, 64, 3)
