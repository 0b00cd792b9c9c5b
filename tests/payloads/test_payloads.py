"""The two wire formats and the record around them."""

import json
import math
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from vidette import payloads
from vidette.errors import ConfigError
from vidette.payloads import payload, payload_names, record
from vidette.predictions.detections import Detections
from vidette.result import Result, StageTimes

LABELS = ["person", "bus"]


def detections(keypoints: Any = None) -> Detections:
    return Detections(
        xyxy=np.array([[10.25, 20.5, 110.75, 60.5], [0, 0, 640, 480]], np.float32),
        confidence=np.array([0.9, 0.123456789], np.float32),
        class_id=np.array([1, 7], np.int32),
        labels=LABELS,
        keypoints=None if keypoints is None else np.array(keypoints, np.float32),
    )


def result(predictions: Detections, **changes: Any) -> Result:
    facts: dict[str, Any] = {
        "stream": "cam", "epoch": 2, "seq": 5, "pts_s": 0.25, "time": 1_700_000_000.25, "width": 640, "height": 480,
        "model": "m", "run": {"runtime": "onnx", "threads": 1}, "batch": 1, "stages": StageTimes(),
    }  # fmt: skip
    return Result(predictions=predictions, **(facts | changes))


def twin_roboflow(d: Detections, i: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(v) for v in d.xyxy[i])
    return {
        "x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1,
        "confidence": float(d.confidence[i]), "class": d.label(i), "class_id": int(d.class_id[i]),
    }  # fmt: skip


def test_roboflow_boxes_are_centre_and_size():
    d = detections()
    rows = payload("roboflow")(d)["predictions"]
    assert rows == [twin_roboflow(d, 0), twin_roboflow(d, 1)]
    assert rows[0]["x"] == 60.5
    assert rows[0]["y"] == 40.5
    assert rows[0]["width"] == 100.5
    assert rows[0]["height"] == 40
    assert rows[1]["class"] == "7", "a class without a label is named by its number"


def test_roboflow_keypoints_leave_out_what_is_not_finite_and_keep_their_index():
    points = [[[1, 2, 0.5], [math.nan, 4, 0.25], [5, 6, 0]], [[1, math.inf, 1]] * 3]
    rows = payload("roboflow")(detections(points))["predictions"]
    assert [p["class_id"] for p in rows[0]["keypoints"]] == [0, 2]
    assert rows[0]["keypoints"][0] == {
        "x": 1, "y": 2, "confidence": 0.5, "class_id": 0, "class": "0", "class_name": "0",
    }  # fmt: skip
    assert rows[1]["keypoints"] == []


def test_ultralytics_boxes_are_corners_rounded():
    rows = payload("ultralytics")(detections())["predictions"]
    assert rows[0] == {
        "name": "bus", "class": 1, "confidence": 0.9, "box": {"x1": 10.25, "y1": 20.5, "x2": 110.75, "y2": 60.5},
    }  # fmt: skip
    assert rows[1]["confidence"] == 0.12346


def test_ultralytics_keypoints_are_columns():
    points = [[[1.0000049, 2, 0.5], [3, math.nan, 1]]] * 2
    rows = payload("ultralytics")(detections(points))["predictions"]
    assert rows[0]["keypoints"] == {"x": [1.0, 3.0], "y": [2.0, None], "visible": [0.5, 1.0]}


@pytest.mark.parametrize("name", payload_names())
def test_rows_are_plain_json_values(name):
    json.dumps(payload(name)(detections([[[1, 2, 0.5]]] * 2)), allow_nan=False)


@pytest.mark.parametrize("name", payload_names())
@pytest.mark.parametrize("keypoints", [0, 5])
def test_no_objects_give_no_rows(name, keypoints):
    assert payload(name)(Detections.none(LABELS, keypoints)) == {"predictions": []}


@pytest.mark.parametrize("name", payload_names())
def test_an_empty_result_carries_all_keys(name):
    full = json.loads(record.record_json(result(detections()), payload(name)))
    empty = json.loads(record.record_json(result(Detections.none(LABELS)), payload(name)))
    assert list(empty) == list(full)
    assert empty["predictions"] == []


def test_the_record():
    parsed = json.loads(record.record_json(result(detections()), payload("roboflow")))
    assert parsed.pop("predictions") == payload("roboflow")(detections())["predictions"]
    assert parsed == {
        "stream": "cam", "epoch": 2, "seq": 5, "pts_s": 0.25, "time": "2023-11-14T22:13:20.250Z",
        "image": {"width": 640, "height": 480}, "model": "m", "run": {"runtime": "onnx", "threads": 1},
    }  # fmt: skip


def test_a_record_is_one_line_of_valid_json_whatever_the_numbers_and_names():
    d = detections([[[math.nan, math.inf, math.nan]]] * 2)
    d = Detections(d.xyxy, np.array([math.nan, 1], np.float32), d.class_id, ["a\nb", 'q"\u2028'], d.keypoints)
    for name in payload_names():
        line = record.record_json(result(d, pts_s=None, stream="a\nb"), payload(name))
        assert b"\n" not in line

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        assert json.loads(line, parse_constant=refuse)["pts_s"] is None


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(ConfigError, match="unknown payload format 'robo'; known: roboflow, ultralytics"):
        payload("robo")


def test_third_parties_add_formats_and_cannot_replace_ours(monkeypatch):
    def theirs(group: str) -> list[EntryPoint]:
        assert group == "vidette.payloads"
        return [EntryPoint("count", "builtins:len", group), EntryPoint("roboflow", "builtins:len", group)]

    monkeypatch.setattr(payloads, "entry_points", theirs)
    assert payload_names() == ["count", "roboflow", "ultralytics"]
    assert payload("count")(detections()) == 2
    assert payload("roboflow")(Detections.none(LABELS)) == {"predictions": []}
