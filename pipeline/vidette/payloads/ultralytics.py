"""Ultralytics' rows: boxes by corners, in pixels of the source picture, numbers rounded to 5 decimals.

Fields as in `Results.summary()` and in the answers of Ultralytics' hosted inference.
"""

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name
from vidette.predictions.semantic import SemanticMap

_NOWHERE = np.empty((0, 2), np.float32)


def _rounded(array: npt.NDArray[np.float32]) -> Any:
    # in float64, because in float32 the rounded number has no short decimal form; all at once, because
    # Python's round() per number costs four times as much as the whole row
    return np.round(array.astype(np.float64), 5).tolist()


def objects(predictions: Detections) -> list[dict[str, Any]]:
    """One dictionary per object: name, class, confidence, box {x1, y1, x2, y2}.

    Boxes of oriented objects are {x1, y1, ... x4, y4}, their corners in Ultralytics' order: from the one where right
    and bottom meet at angle 0 over right and top.
    Models with masks add `segments`: lists x and y, the outer outline with most corners; empty where there is no pixel.
    Models with keypoints add `keypoints`: lists x, y and visible (the confidence, 0..1), one entry per point of the
    skeleton; a number that is not finite is None, which JSON can carry.
    """
    labels = predictions.labels
    rows: list[dict[str, Any]] = [
        {
            "name": class_name(labels, class_id),
            "class": class_id,
            "confidence": confidence,
            "box": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
        }
        for (x1, y1, x2, y2), confidence, class_id in zip(
            _rounded(predictions.xyxy), _rounded(predictions.confidence), predictions.class_id.tolist(), strict=True
        )
    ]
    if predictions.corners is not None:
        for row, corners in zip(rows, _rounded(predictions.corners[:, [2, 1, 0, 3]]), strict=True):
            row["box"] = {
                f"{axis}{i}": v for i, corner in enumerate(corners, 1) for axis, v in zip("xy", corner, strict=True)
            }
    if predictions.masks is not None:
        found = [outlines[0].points if outlines else _NOWHERE for outlines in predictions.masks.outlines("longest")]
        columns = _rounded(np.concatenate([_NOWHERE, *found]).T)
        start = 0
        for row, points in zip(rows, found, strict=True):
            part = slice(start, start + len(points))
            row["segments"] = {"x": columns[0][part], "y": columns[1][part]}
            start = part.stop
    if predictions.keypoints is not None:
        for row, columns in zip(rows, _rounded(predictions.keypoints.transpose(0, 2, 1)), strict=True):
            x, y, visible = ([v if isfinite(v) else None for v in column] for column in columns)
            row["keypoints"] = {"x": x, "y": y, "visible": visible}
    return rows


def scores(predictions: Classification) -> list[dict[str, Any]]:
    """One dictionary per class that counts, best first: name, class, confidence."""
    return [
        {"name": class_name(predictions.labels, class_id), "class": class_id, "confidence": confidence}
        for class_id, confidence in zip(predictions.class_id.tolist(), _rounded(predictions.confidence), strict=True)
    ]


def areas(predictions: SemanticMap) -> list[dict[str, Any]]:
    """One dictionary per present class, largest first: name, class, pixel_ratio (the part of the picture)."""
    return [
        {"name": class_name(predictions.labels, class_id), "class": class_id, "pixel_ratio": share}
        for class_id, share in zip(predictions.class_id.tolist(), _rounded(predictions.shares), strict=True)
    ]


def answer(predictions: Predictions) -> dict[str, Any]:
    """The fields of an answer."""
    match predictions:
        case Detections():
            return {"predictions": objects(predictions)}
        case Classification():
            return {"predictions": scores(predictions)}
        case SemanticMap():
            return {"predictions": areas(predictions)}
