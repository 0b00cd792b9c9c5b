"""Classifications and semantic maps as wire dictionaries."""

import base64
import json

import cv2
import numpy as np
import orjson
import pytest

from vidette.payloads import payload, payload_names, roboflow
from vidette.predictions.classification import Classification
from vidette.predictions.semantic import SemanticMap

LABELS = ("cat", "dog", "cow", "owl", "fox", "bee")


def classification(class_id, *, scores=(0.1, 0.123456789, 0.5, 0.2, 0.05, 0.02), multi_label=False, labels=LABELS):
    return Classification(np.array(scores, np.float32), labels, np.array(class_id, np.int32), multi_label)


def semantic(class_id=(1, 0), *, scores=True, labels=LABELS, dtype=np.uint8):
    classes = np.array([[0, 1], [1, 1]], dtype)
    sure = np.array([[1.0, 0.5], [0.25, 0.75]], np.float32) if scores else None
    shares = np.array([(classes == i).mean() for i in class_id], np.float32)
    return SemanticMap(classes, np.array([0.0, 0, 8, 4]), labels, np.array(class_id, np.int32), shares, sure)


def sent(predictions, name):
    return json.loads(orjson.dumps(payload(name)(predictions), option=orjson.OPT_SERIALIZE_NUMPY))


def test_roboflow_one_label():
    assert sent(classification([2, 3, 1]), "roboflow") == {
        "predictions": [
            {"class": "cow", "class_id": 2, "confidence": 0.5}, {"class": "owl", "class_id": 3, "confidence": 0.2},
            {"class": "dog", "class_id": 1, "confidence": 0.1235},
        ],
        "top": "cow", "confidence": 0.5,
    }  # fmt: skip


def test_roboflow_when_no_class_counts():
    assert sent(classification([]), "roboflow") == {"predictions": [], "top": "", "confidence": 0.0}


def test_roboflow_several_labels_have_every_class():
    answer = sent(classification([2, 3], multi_label=True), "roboflow")
    assert list(answer) == ["predictions", "predicted_classes"]
    assert answer["predicted_classes"] == ["cow", "owl"]
    assert list(answer["predictions"]) == list(LABELS)
    assert answer["predictions"]["owl"] == {"confidence": pytest.approx(0.2), "class_id": 3}
    assert answer["predictions"]["dog"]["confidence"] == float(np.float32(0.123456789)), "not rounded"
    empty = sent(classification([], multi_label=True), "roboflow")
    assert empty["predicted_classes"] == []
    assert len(empty["predictions"]) == 6


def test_ultralytics_tells_the_classes_that_count():
    rows = sent(classification([2, 1]), "ultralytics")["predictions"]
    assert [row["name"] for row in rows] == ["cow", "dog"]
    assert rows[1] == {"name": "dog", "class": 1, "confidence": 0.12346}
    assert sent(classification([]), "ultralytics")["predictions"] == []
    assert sent(classification([1], scores=(0.5, 0.5), labels=()), "ultralytics")["predictions"][0]["class"] == 1


def test_roboflow_semantic_records_have_run_lengths_of_the_grid():
    answer = sent(semantic(), "roboflow")["predictions"]
    assert list(answer) == ["segmentation_rle", "class_map", "present_class_ids"]
    assert answer["class_map"] == {str(i): name for i, name in enumerate(LABELS)}
    assert answer["present_class_ids"] == [0, 1]
    grid = answer["segmentation_rle"]
    assert (grid["size"], grid["extent"], list(grid["counts"])) == ([2, 2], [0, 0, 8, 4], ["1", "0"])
    assert lengths(grid["counts"]["1"]) == [1, 3]
    assert lengths(grid["counts"]["0"]) == [0, 1, 3]


def lengths(text):
    """COCO's compressed run lengths, by the description in its maskApi."""
    numbers, at = [], 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            digit = ord(text[at]) - 48
            value |= (digit & 31) << shift
            at, shift, more = at + 1, shift + 5, bool(digit & 32)
        if digit & 16:
            value -= 1 << shift
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
    return numbers


def picture(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)


def test_roboflow_semantic_answers_have_two_pictures_of_the_source_s_size():
    answer = roboflow.pictures(semantic(), 8, 4)
    classes, sure = picture(answer["segmentation_mask"]), picture(answer["confidence_mask"])
    assert (classes.dtype, classes.shape, sure.dtype, sure.shape) == (np.uint8, (4, 8), np.uint8, (4, 8))
    np.testing.assert_array_equal(classes, np.kron([[0, 1], [1, 1]], np.ones((2, 4))))
    np.testing.assert_array_equal(sure[::2, ::4], [[255, 127], [63, 191]])
    assert answer["class_map"]["5"] == "bee"
    assert answer["present_class_ids"] == [0, 1]
    plain = roboflow.pictures(semantic(scores=False), 8, 6)
    assert picture(plain["segmentation_mask"])[4:].tolist() == [[255] * 8] * 2, "the grid does not reach there"
    assert picture(plain["confidence_mask"])[4:].max() == 0
    assert picture(plain["confidence_mask"])[:4].min() == 255
    many = roboflow.pictures(semantic(dtype=np.uint16), 8, 6)
    np.testing.assert_array_equal(picture(many["segmentation_mask"]), picture(plain["segmentation_mask"]))


def test_ultralytics_semantic_rows():
    assert sent(semantic(), "ultralytics") == {
        "predictions": [
            {"name": "dog", "class": 1, "pixel_ratio": 0.75}, {"name": "cat", "class": 0, "pixel_ratio": 0.25},
        ]
    }  # fmt: skip


@pytest.mark.parametrize("name", payload_names())
@pytest.mark.parametrize("make", [classification, semantic])
def test_nothing_has_the_same_keys(name, make):
    full, empty = sent(make([1, 0]), name), sent(make([]), name)
    assert list(empty) == list(full)
    if isinstance(full["predictions"], dict):
        assert list(empty["predictions"]) == list(full["predictions"])
        assert empty["predictions"]["segmentation_rle"]["counts"] == {}
        assert empty["predictions"]["present_class_ids"] == []


@pytest.mark.parametrize("name", payload_names())
def test_classes_without_names_are_numbers(name):
    assert '"2"' in json.dumps(sent(classification([2], labels=()), name))
    assert '"1"' in json.dumps(sent(semantic([1], labels=()), name))
