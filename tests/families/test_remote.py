"""Answers of servers come back as what they were made of: payloads there, this decoder here."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidette.errors import DecodeError, ModelError
from vidette.families.base import Task, Thresholds
from vidette.families.remote import Answers, Known, remote
from vidette.families.remote_rows import filled
from vidette.payloads import roboflow, ultralytics
from vidette.pixels.letterbox import Letterbox, fit
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.semantic import SemanticMap
from vidette.predictions.skeletons import FACE_5
from vidette.remote.endpoint import Endpoint
from vidette.remote.probing import Found

LABELS = ("cat", "dog", "owl")
HALF = fit(640, 320, 320, 320, "within")
"""A frame of 640x320 that was sent as 320x160."""
WHOLE = fit(320, 160, 320, 320, "within")
ALL = Thresholds(confidence=0.0, outline=Outline(0.0))


def sent(fields: Any) -> Any:
    """Through JSON and back."""
    return orjson.loads(orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY))


def decode(task: Task, answer: Any, box: Letterbox = WHOLE, limits: Thresholds = ALL, classes: Any = None) -> Any:
    return Answers(task, known=Known(task)).only(classes)([sent(answer)], box, limits)


def objects(**channels: Any) -> Detections:
    boxes = np.array([[10, 20, 110, 60], [200.5, 30.25, 250.5, 90.75], [0, 0, 4, 4]], np.float32)
    scores = np.array([0.9, 0.8, 0.3], np.float32)
    return Detections(boxes, scores, np.array([2, 0, 2], np.int32), LABELS, **channels)


def hub(found: Any) -> dict[str, Any]:
    return {"shape": [160, 320], "results": ultralytics.answer(found)["predictions"]}


@pytest.mark.parametrize("wire", [roboflow.answer, hub])
def test_boxes_come_back(wire: Any) -> None:
    found = decode("detection", wire(objects()))
    np.testing.assert_allclose(found.xyxy, objects().xyxy, atol=1e-4)
    np.testing.assert_allclose(found.confidence, objects().confidence, atol=1e-5)
    assert found.class_id.tolist() == [2, 0, 2]
    assert [found.label(i) for i in range(3)] == ["owl", "cat", "owl"]
    assert found.masks is found.keypoints is found.corners is None


@pytest.mark.parametrize("wire", [roboflow.answer, hub])
def test_boxes_are_in_pixels_of_the_frame_and_clipped_to_it(wire: Any) -> None:
    answer = wire(replace(objects(), xyxy=objects().xyxy + np.float32(80)))
    found = decode("detection", answer, HALF)
    assert found.xyxy[0].tolist() == [180, 200, 380, 280]
    assert found.xyxy[1, 3] == 320
    tile = replace(HALF, region=(320, 160, 320, 160), width=640, height=320)
    np.testing.assert_allclose(decode("detection", answer, tile).xyxy[0], [410, 260, 510, 300], atol=1e-4)


def test_the_best_come_first_whatever_the_order_and_thresholds_hold() -> None:
    answer = roboflow.answer(objects().take(np.array([2, 0, 1])))
    assert decode("detection", answer).confidence.tolist() == pytest.approx([0.9, 0.8, 0.3])
    assert len(decode("detection", answer, limits=replace(ALL, confidence=0.5))) == 2
    assert len(decode("detection", answer, limits=replace(ALL, max_detections=1))) == 1
    assert decode("detection", answer, classes=["owl"]).class_id.tolist() == [2, 2]
    assert decode("detection", answer, classes=["0"]).class_id.tolist() == [0]


def test_names_are_learned_and_kept() -> None:
    decoder = Answers("detection")
    decoder([sent(roboflow.answer(objects()))], WHOLE, ALL)
    assert decoder.known.labels == ("cat", "1", "owl")
    nothing = decoder([{"predictions": []}], WHOLE, ALL)
    assert (len(nothing), nothing.labels) == (0, ("cat", "1", "owl"))


def test_names_without_numbers() -> None:
    rows = roboflow.answer(objects())["predictions"]
    for row in rows:
        del row["class_id"]
    found = decode("detection", {"predictions": rows})
    assert ([found.label(i) for i in range(3)], found.labels) == (["owl", "cat", "owl"], ("owl", "cat"))


@pytest.mark.parametrize("wire", [roboflow.answer, hub])
@pytest.mark.parametrize("task", ["oriented", "detection"])
def test_corners_come_back_also_where_the_server_calls_it_detection(wire: Any, task: Task) -> None:
    corners = np.array([[[10, 30], [90, 20], [110, 50], [30, 60]]] * 3, np.float32)
    found = decode(task, wire(objects(corners=corners)), HALF)
    np.testing.assert_allclose(found.corners, 2 * corners, atol=1e-4)
    np.testing.assert_allclose(found.xywhr, objects(corners=2 * corners).xywhr, atol=1e-3)


@pytest.mark.parametrize("wire", [roboflow.answer, hub])
def test_keypoints_come_back_and_missing_ones_are_not_numbers(wire: Any) -> None:
    points = np.arange(45, dtype=np.float32).reshape(3, 5, 3) / 50
    points[1, 2] = np.nan
    found = decode("keypoints", wire(objects(keypoints=points, skeleton=FACE_5)), HALF)
    np.testing.assert_allclose(found.keypoints, points * [2, 2, 1], atol=1e-4)
    if wire is roboflow.answer:  # HUB's rows do not name them
        assert found.skeleton == FACE_5


def _masks() -> Masks:
    ring = np.ones((40, 100), np.uint8)
    ring[10:20, 30:50] = 0
    stairs = np.tri(61, 50, dtype=np.uint8)
    extents = np.array([[10, 20, 110, 60], [200, 30, 250, 91], [0, 0, 4, 4]], np.float64)
    return Masks.of([ring, stairs, np.zeros((4, 4), np.uint8)], extents, Outline(0.0))


def test_masks_as_run_lengths_come_back_whole() -> None:
    rows = roboflow.objects(objects(masks=_masks()), (320, 160))
    found = decode("segmentation", {"predictions": rows})
    for index in range(3):
        np.testing.assert_array_equal(found.masks.dense(index, 320, 160), _masks().dense(index, 320, 160))
    half = decode("segmentation", {"predictions": rows}, HALF)
    np.testing.assert_allclose(half.masks.area, 4 * _masks().area)


@pytest.mark.parametrize("wire", [roboflow.answer, hub])
@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_masks_as_polygons_come_back_without_their_holes(wire: Any, task: Task) -> None:
    found = decode(task, wire(objects(masks=_masks())))
    ring, stairs, nothing = (found.masks.dense(i, 320, 160) for i in range(3))
    assert ring[20:60, 10:110].all()
    assert ring.sum() == 4000
    np.testing.assert_array_equal(stairs, _masks().dense(1, 320, 160))
    assert not nothing.any()


@given(st.lists(st.tuples(st.floats(-50, 200), st.floats(-50, 200)), min_size=3, max_size=9))
def test_a_filled_polygon_holds_the_centres_inside(corners: list[tuple[float, float]]) -> None:
    polygon = np.array(corners)
    crop, (left, top, right, bottom) = filled(polygon)
    assert crop.shape == (bottom - top, right - left)
    x, y = polygon.T
    for row in range(0, crop.shape[0], 7):
        for column in range(0, crop.shape[1], 7):
            px, py = left + column + 0.5, top + row + 0.5
            crossings = 0
            for k in range(len(x)):
                x0, y0, x1, y1 = x[k - 1], y[k - 1], x[k], y[k]
                if (y0 <= py) != (y1 <= py):
                    at = x0 + (py - y0) / (y1 - y0) * (x1 - x0)
                    if abs(at - px) < 1e-6:
                        break  # on the edge: either is right
                    crossings += at < px
            else:
                assert crop[row, column] == crossings % 2


def test_classes_come_back() -> None:
    scores = np.array([0.2, 0.7, 0.1], np.float32)
    told = Classification(scores, LABELS, np.array([1, 0, 2], np.int32))
    for wire in (roboflow.answer, hub):
        found = decode("classification", wire(told))
        np.testing.assert_allclose(found.scores, scores, atol=1e-4)
        assert (found.class_id.tolist(), found.labels, found.multi_label) == ([1, 0, 2], LABELS, False)
    assert decode("classification", hub(told), limits=replace(ALL, top_k=1)).class_id.tolist() == [1]
    several = replace(told, multi_label=True)
    found = decode("classification", roboflow.answer(several), limits=replace(ALL, confidence=0.15))
    assert (found.class_id.tolist(), found.multi_label) == ([1, 0], True)
    assert decode("classification", roboflow.answer(several)).class_id.tolist() == [1]
    assert len(decode("classification", {"predictions": [], "top": "", "confidence": 0.0})) == 0


@pytest.mark.parametrize("nested", [True, False])
def test_semantic_maps_come_back(nested: bool) -> None:
    classes = np.zeros((160, 320), np.uint8)
    classes[:, 100:] = 2
    scores = np.full((160, 320), 0.6, np.float32)
    extent = np.array([0, 0, 320, 160], np.float64)
    told = SemanticMap(classes, extent, LABELS, np.array([2, 0], np.int32), np.array([0.7, 0.3], np.float32), scores)
    fields = roboflow.pictures(told, 320, 160)
    found = decode("semantic", {"predictions": fields} if nested else {"predictions": [], **fields}, HALF)
    np.testing.assert_array_equal(found.dense(640, 320), np.repeat(np.repeat(classes, 2, 0), 2, 1))
    np.testing.assert_allclose(found.confidence, [0.6, 0.6], atol=1 / 255)
    assert (found.class_id.tolist(), found.labels) == ([2, 0], LABELS)
    np.testing.assert_allclose(found.shares, [1 - 100 / 320, 100 / 320])


ROW = {"x": 1, "y": 1, "width": 1, "height": 1, "confidence": 0.9, "class": "a", "class_id": 0}


@pytest.mark.parametrize(
    "answer",
    [
        None, [], "text", {}, {"predictions": None}, {"predictions": [None]}, {"predictions": [{}]}, {"results": [{}]},
        {"predictions": [ROW | {"x": None}]}, {"predictions": [ROW | {"x": 1e300}]},
        {"predictions": [ROW | {"class_id": 10**9}]}, {"predictions": [ROW | {"class_id": -1}]},
        {"predictions": [ROW | {"confidence": None}]},
        {"predictions": [ROW | {"rle": {"size": [4, 4], "counts": "999999999999999999999999999"}}]},
        {"predictions": [ROW | {"rle": {"size": [4, 4], "counts": "oooooooooooooooooooooooooooooo0"}}]},
        {"predictions": [ROW | {"rle": {"size": [10**9, 10**9], "counts": "1"}}]},
        {"predictions": [ROW | {"points": [{"x": 0, "y": 0}, {"x": 1e12, "y": 0}, {"x": 0, "y": 1e12}]}]},
        {"predictions": [ROW | {"points": 7}]},
    ],
)  # fmt: skip
def test_what_is_no_answer_fails_its_frame_alone(answer: Any) -> None:
    with pytest.raises(DecodeError, match="not understood") as error:
        Answers("segmentation", known=Known("segmentation"))([answer], WHOLE, ALL)
    assert error.value.code == "remote"


def test_a_class_that_is_no_number_does_not_cost_the_map() -> None:
    with pytest.raises(DecodeError):
        decode("semantic", {"predictions": {"segmentation_mask": "bm8=", "class_map": {}}})


def test_what_came_instead_of_an_answer_is_said() -> None:
    with pytest.raises(DecodeError, match="503") as error:
        Answers("detection")([ModelError("the server answered 503")], WHOLE, ALL)
    assert error.value.code == "remote"


def test_maps_cannot_come_by_hubs_rows() -> None:
    endpoint = Endpoint.parse("http://host/predict")
    with pytest.raises(ModelError, match="roboflow-v1"):
        remote(Found(endpoint, "semantic", None, None, ""))
