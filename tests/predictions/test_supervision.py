"""Predictions of each kind as supervision's types."""

from dataclasses import replace

import numpy as np
import pytest
import supervision as sv

from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.semantic import SemanticMap
from vidette.predictions.skeletons import COCO_17

LABELS = ("person", "bus")


def objects() -> Detections:
    xyxy = np.array([[4, 6, 20, 30], [30, 10, 50, 40.5]], np.float32)
    return Detections(xyxy, np.array([0.9, 0.8], np.float32), np.array([0, 7], np.int32), LABELS)


def test_boxes_and_names():
    found = objects()
    out = found.to_supervision()
    np.testing.assert_array_equal(out.xyxy, found.xyxy)
    np.testing.assert_array_equal(out.confidence, found.confidence)
    assert out.class_id.tolist() == [0, 7]
    assert out["class_name"].tolist() == ["person", "7"]
    assert out.mask is None
    out.xyxy[:] = 0
    assert found.xyxy[0, 0] == 4, "the arrays are their own"


def test_oriented_boxes_are_where_supervision_looks_for_them():
    corners = np.array([[[10, 0], [20, 10], [10, 20], [0, 10]]] * 2, np.float32)
    out = replace(objects(), corners=corners).to_supervision()
    drawn = sv.OrientedBoxAnnotator().annotate(np.zeros((48, 64, 3), np.uint8), out)
    assert drawn[5, 15].any()
    assert not drawn[0:3, 0:3].any()


@pytest.mark.parametrize("size", [(64, 48), (40, 20), (None, None)])
def test_masks_are_dense(size):
    found = objects()
    crops = [np.eye(2, dtype=np.uint8), np.ones((3, 4), np.uint8)]
    out = replace(found, masks=Masks.of(crops, found.xyxy.astype(np.float64), Outline())).to_supervision(*size)
    width, height = (size[0] or 50, size[1] or 41)
    assert out.mask.shape == (2, height, width)
    assert out.mask.dtype == bool
    y, x = np.mgrid[:height, :width] + 0.5
    np.testing.assert_array_equal(
        out.mask[0],
        ((x > 4) & (x < 12) & (y > 6) & (y < 18)) | ((x > 12) & (x < 20) & (y > 18) & (y < 30)),
    )
    np.testing.assert_array_equal(out.mask[1], (x > 30) & (x < 50) & (y > 10) & (y < 40.5))


def test_keypoints():
    points = np.random.default_rng(0).random((2, 17, 3)).astype(np.float32)
    out = replace(objects(), keypoints=points, skeleton=COCO_17).to_supervision_keypoints()
    np.testing.assert_array_equal(out.xy, points[..., :2])
    np.testing.assert_array_equal(out.keypoint_confidence, points[..., 2])
    assert out.class_id.tolist() == [0, 7]
    assert out["class_name"].tolist() == ["person", "7"]


def test_no_keypoints():
    assert objects().to_supervision_keypoints().xy.shape == (2, 0, 2)


def test_nothing_found_has_the_same_fields():
    out = Detections.none(LABELS, skeleton=COCO_17, oriented=True, masks=Outline()).to_supervision(64, 48)
    assert len(out) == 0
    assert out.mask.shape == (0, 48, 64)
    assert out["xyxyxyxy"].shape == (0, 4, 2)
    assert len(Detections.none(LABELS, skeleton=COCO_17).to_supervision_keypoints()) == 0
    assert len(Detections.none(LABELS, masks=Outline()).to_supervision()) == 0


def test_classes_that_count():
    scores = np.array([0.1, 0.6, 0.3], np.float32)
    out = Classification(scores, ("a", "b", "c"), np.array([1, 2], np.int32)).to_supervision()
    assert out.class_id.tolist() == [1, 2]
    np.testing.assert_array_equal(out.confidence, scores[1:])
    assert out.get_top_k(1)[0].tolist() == [1]


@pytest.mark.parametrize("size", [(40, 30), (None, None)])
def test_a_semantic_map_is_a_mask_per_class(size):
    grid = np.array([[0, 0, 1, 1], [0, 0, 1, 2], [0, 0, 2, 2]], np.uint8)
    found = SemanticMap(
        grid, np.array([0.0, 0, 40, 30]), ("road", "sky", "tree"), np.array([0, 2], np.int32),
        np.array([0.5, 0.25], np.float32), scores=np.full((3, 4), 0.5, np.float32),
    )  # fmt: skip
    out = found.to_supervision(*size)
    whole = grid.repeat(10, axis=0).repeat(10, axis=1)
    np.testing.assert_array_equal(out.mask, np.stack([whole == 0, whole == 2]))
    np.testing.assert_array_equal(out.xyxy, [[0, 0, 20, 30], [20, 10, 40, 30]])
    np.testing.assert_array_equal(out.confidence, [0.5, 0.5])
    assert out["class_name"].tolist() == ["road", "tree"]
    nothing = replace(found, class_id=np.empty(0, np.int32), shares=np.empty(0, np.float32))
    assert len(nothing.to_supervision(*size)) == 0
