"""Everything that has a place moves together, and back again."""

import numpy as np
import pytest

from vidette.geometry import Transform
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.semantic import SemanticMap
from vidette.predictions.skeletons import COCO_17, by_count

WIDTH, HEIGHT = 64, 48

STEPS = {
    "scale": Transform.scale(WIDTH, HEIGHT, 640, 100),
    "crop": Transform.crop(10, 5, 30, 20),
    "flip": Transform.mirror(WIDTH, HEIGHT),
    "upside": Transform.mirror(WIDTH, HEIGHT, vertically=True),
    "90": Transform.turn(WIDTH, HEIGHT, 90),
    "180": Transform.turn(WIDTH, HEIGHT, 180),
    "270": Transform.turn(WIDTH, HEIGHT, 270),
    "all": Transform.scale(WIDTH, HEIGHT, 128, 96)
    .then(Transform.turn(128, 96, 90))
    .then(Transform.mirror(96, 128))
    .then(Transform.crop(5, 7, 60, 60)),
}


def objects() -> Detections:
    rng = np.random.default_rng(3)
    xyxy = np.array([[4, 6, 20, 30], [30, 10, 50, 40.5]], np.float32)
    crops = [(rng.random((24, 16)) < 0.5).astype(np.uint8), (rng.random((15, 10)) < 0.5).astype(np.uint8)]
    corners = xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    points = np.concatenate([rng.uniform(0, 48, (2, 17, 2)), rng.random((2, 17, 1))], 2).astype(np.float32)
    return Detections(
        xyxy, np.array([0.9, 0.8], np.float32), np.array([0, 1], np.int32), ("a", "b"),
        keypoints=points, skeleton=COCO_17, corners=corners, masks=Masks.of(crops, xyxy.astype(np.float64), Outline()),
    )  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_every_channel_comes_back(name):
    there = STEPS[name]
    found = objects()
    moved = found.transformed(there)
    again = moved.transformed(there.back(WIDTH, HEIGHT))
    for channel in ("xyxy", "keypoints", "corners"):
        np.testing.assert_allclose(getattr(again, channel), getattr(found, channel), atol=1e-4)
        assert not np.allclose(getattr(moved, channel), getattr(found, channel))
    for i in range(2):
        np.testing.assert_array_equal(again.masks.crop(i), found.masks.crop(i))
    np.testing.assert_allclose(again.masks.extents, found.masks.extents, atol=1e-4)


@pytest.mark.parametrize("name", STEPS)
def test_no_channel_drifts_from_the_boxes(name):
    moved = objects().transformed(STEPS[name])
    np.testing.assert_allclose(moved.masks.extents, moved.xyxy, atol=1e-4)
    np.testing.assert_allclose(moved.corners.min(1), moved.xyxy[:, :2], atol=1e-4)
    np.testing.assert_allclose(moved.corners.max(1), moved.xyxy[:, 2:], atol=1e-4)


def test_a_mask_turns_as_its_picture_does():
    crop = np.array([[1, 0, 0], [0, 0, 0]], np.uint8)
    masks = Masks.of([crop], np.array([[0.0, 0, 3, 2]]), Outline())
    turned = masks.transformed(Transform.turn(3, 2, 90))
    np.testing.assert_array_equal(turned.crop(0), np.rot90(crop))
    mirrored = masks.transformed(Transform.mirror(3, 2))
    np.testing.assert_array_equal(mirrored.crop(0), crop[:, ::-1])


@pytest.mark.parametrize("name", STEPS)
def test_a_map_comes_back(name):
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    extent, shares = np.array([0.0, 0, WIDTH, HEIGHT]), np.ones(1, np.float32)
    found = SemanticMap(classes, extent, (), np.zeros(1, np.int32), shares, classes.astype(np.float32))
    again = found.transformed(STEPS[name]).transformed(STEPS[name].back(WIDTH, HEIGHT))
    np.testing.assert_array_equal(again.classes, classes)
    np.testing.assert_array_equal(again.scores, classes)
    np.testing.assert_allclose(again.extent, found.extent, atol=1e-4)


def test_nothing_has_the_same_channels():
    none = Detections.none(("a",), skeleton=COCO_17, oriented=True, masks=Outline())
    assert (none.keypoints.shape, none.corners.shape, len(none.masks)) == ((0, 17, 3), (0, 4, 2), 0)
    moved = none.transformed(STEPS["all"])
    assert (moved.xyxy.shape, moved.keypoints.shape, moved.corners.shape) == ((0, 4), (0, 17, 3), (0, 4, 2))


def test_parts_join_and_places_are_taken_in_every_channel():
    found = objects()
    both = Detections.joined([found, found.transformed(STEPS["scale"])])
    assert len(both) == 4
    again = both.take(np.array([1, 0]))
    for channel in ("xyxy", "confidence", "class_id", "keypoints", "corners"):
        np.testing.assert_array_equal(getattr(again, channel), getattr(found, channel)[::-1])
    np.testing.assert_array_equal(again.masks.crop(0), found.masks.crop(1))
    np.testing.assert_array_equal(both.masks.crop(3), found.masks.crop(1))
    assert len(Detections.joined([Detections.none(("a",)), Detections.none(("a",))])) == 0


def test_skeletons_by_count():
    assert by_count(17) is COCO_17
    assert by_count(4).points == ("0", "1", "2", "3")
