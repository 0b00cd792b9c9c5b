"""Roboflow's prediction dictionaries: boxes by centre and size, in pixels of the source picture.

Fields as in the answers of Roboflow's hosted API and its open inference server, `detection_id` left to whoever
answers a request. Numbers are not rounded, and so are those of the server.
"""

from math import isfinite
from typing import Any

from vidette.predictions import Predictions
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name


def objects(predictions: Detections) -> list[dict[str, Any]]:
    """One dictionary per object: x, y (centre), width, height, confidence, class, class_id.

    Models with keypoints add `keypoints`: x, y, confidence, class_id (index in the skeleton), class and class_name
    (equal: the server writes the first, the hosted documents the second). Points that are not finite are left out;
    the others keep their class_id.

    Oriented boxes are enclosed by x, y, width and height, and add `points`: their four corners in order.
    """
    labels = predictions.labels
    names = predictions.point_names
    rows: list[dict[str, Any]] = [
        {
            "x": (x1 + x2) / 2,
            "y": (y1 + y2) / 2,
            "width": x2 - x1,
            "height": y2 - y1,
            "confidence": confidence,
            "class": class_name(labels, class_id),
            "class_id": class_id,
        }
        for (x1, y1, x2, y2), confidence, class_id in zip(
            predictions.xyxy.tolist(), predictions.confidence.tolist(), predictions.class_id.tolist(), strict=True
        )
    ]
    if predictions.corners is not None:
        for row, corners in zip(rows, predictions.corners.tolist(), strict=True):
            row["points"] = [{"x": x, "y": y} for x, y in corners]
    if predictions.keypoints is not None:
        for row, points in zip(rows, predictions.keypoints.tolist(), strict=True):
            row["keypoints"] = [
                {"x": x, "y": y, "confidence": seen, "class_id": i, "class": name, "class_name": name}
                for i, (name, (x, y, seen)) in enumerate(zip(names, points, strict=True))
                if isfinite(x) and isfinite(y) and isfinite(seen)
            ]
    return rows


def answer(predictions: Predictions) -> dict[str, Any]:
    """The fields of an answer."""
    assert isinstance(predictions, Detections)
    return {"predictions": objects(predictions)}
