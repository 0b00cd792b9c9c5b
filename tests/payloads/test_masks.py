"""Masks in both wire formats."""

import json

import numpy as np
import pytest

from tests.kernels.twin_masks import area, decode
from vidette.payloads import payload, payload_names, roboflow
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks, Outline

DISC = (np.hypot(*(np.mgrid[:41, :41] - 20)) <= 20).astype(np.uint8)
HOLE = np.pad(np.zeros((4, 4), np.uint8), 3, constant_values=1)
NOTHING = np.zeros((4, 6), np.uint8)


def detections() -> Detections:
    xyxy = np.array([[10, 20, 51, 61], [0, 0, 10, 10], [8, 4, 14, 8]], np.float32)
    return Detections(
        xyxy, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 0], np.int32), ("a", "b"),
        masks=Masks.of([DISC, HOLE, NOTHING], xyxy.astype(np.float64), Outline(1.0)),
    )  # fmt: skip


def test_roboflow_points_are_the_longest_outer_outline():
    rows = payload("roboflow")(detections())["predictions"]
    assert [row["mask_format"] for row in rows] == ["polygon"] * 3
    disc, square, _ = ([(p["x"], p["y"]) for p in row["points"]] for row in rows)
    assert abs(area(disc) / DISC.sum() - 1) < 0.01
    assert disc[0] != disc[-1]
    assert (min(disc)[0], max(disc)[0]) == pytest.approx((10, 51), abs=1)
    assert area(square) == 100, "holes are not among them"


def test_every_roboflow_row_has_the_same_fields_and_three_points():
    rows = payload("roboflow")(detections())["predictions"]
    assert len({tuple(row) for row in rows}) == 1
    assert rows[2]["points"] == [{"x": 11, "y": 6}] * 3


def test_roboflow_run_lengths_by_request():
    found = detections()
    rows = roboflow.objects(found, rle=(64, 70))
    for index, row in enumerate(rows):
        assert "points" not in row
        assert row["mask_format"] == "rle"
        assert row["rle"]["size"] == [70, 64]
        np.testing.assert_array_equal(decode(row["rle"]["counts"], 64, 70), found.masks.dense(index, 64, 70))


def test_ultralytics_segments_are_columns_rounded():
    disc, square, nothing = payload("ultralytics")(detections())["predictions"]
    assert list(disc) == ["name", "class", "confidence", "box", "segments"]
    points = [(p["x"], p["y"]) for p in payload("roboflow")(detections())["predictions"][0]["points"]]
    assert disc["segments"]["x"] == [round(x, 5) for x, _ in points]
    assert disc["segments"]["y"] == [round(y, 5) for _, y in points]
    assert sorted(zip(square["segments"]["x"], square["segments"]["y"], strict=True)) == [
        (0, 0), (0, 10), (10, 0), (10, 10),
    ]  # fmt: skip
    assert nothing["segments"] == {"x": [], "y": []}


@pytest.mark.parametrize("name", payload_names())
def test_plain_json_and_nothing(name):
    json.dumps(payload(name)(detections()), allow_nan=False)
    assert payload(name)(Detections.none(("a",), masks=Outline())) == {"predictions": []}
    assert roboflow.objects(Detections.none(("a",), masks=Outline()), rle=(64, 48)) == []
