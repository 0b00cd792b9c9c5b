"""Ultralytics' rows: boxes by corners, in pixels of the source picture, numbers rounded to 5 decimals.

Fields as in `Results.summary()` and in the answers of Ultralytics' hosted inference.
"""

from collections.abc import Sequence
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
_DECIMALS = 5


def _rounded(
    array: npt.NDArray[np.float32], decimals: int, divisor: Sequence[float] | None = None
) -> npt.NDArray[np.float64]:
    # in float64, because in float32 the rounded number has no short decimal form; all at once, because
    # Python's round() per number costs four times as much as the whole row
    exact = array.astype(np.float64)
    return np.round(exact if divisor is None else exact / divisor, decimals)


def objects(
    predictions: Detections, size: tuple[int, int] | None = None, decimals: int = _DECIMALS
) -> list[dict[str, Any]]:
    """One dictionary per object: name, class, confidence, box {x1, y1, x2, y2}.

    size      width and height of the picture: coordinates become parts of them, 0 to 1
    decimals  to which numbers are rounded

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
            _rounded(predictions.xyxy, decimals, size and size * 2).tolist(),
            _rounded(predictions.confidence, decimals).tolist(),
            predictions.class_id.tolist(),
            strict=True,
        )
    ]
    if predictions.corners is not None:
        every = _rounded(predictions.corners[:, [2, 1, 0, 3]], decimals, size).tolist()
        for row, corners in zip(rows, every, strict=True):
            row["box"] = {
                f"{axis}{i}": v for i, corner in enumerate(corners, 1) for axis, v in zip("xy", corner, strict=True)
            }
    if predictions.masks is not None:
        found = [outlines[0].points if outlines else _NOWHERE for outlines in predictions.masks.outlines("longest")]
        columns = _rounded(np.concatenate([_NOWHERE, *found]), decimals, size).T.tolist()
        start = 0
        for row, points in zip(rows, found, strict=True):
            part = slice(start, start + len(points))
            row["segments"] = {"x": columns[0][part], "y": columns[1][part]}
            start = part.stop
    if predictions.keypoints is not None:
        points_of_all = _rounded(predictions.keypoints, decimals, size and (*size, 1)).transpose(0, 2, 1).tolist()
        for row, lists in zip(rows, points_of_all, strict=True):
            x, y, visible = ([v if isfinite(v) else None for v in column] for column in lists)
            row["keypoints"] = {"x": x, "y": y, "visible": visible}
    return rows


def scores(predictions: Classification, decimals: int = _DECIMALS) -> list[dict[str, Any]]:
    """One dictionary per class that counts, best first: name, class, confidence."""
    return [
        {"name": class_name(predictions.labels, class_id), "class": class_id, "confidence": confidence}
        for class_id, confidence in zip(
            predictions.class_id.tolist(), _rounded(predictions.confidence, decimals).tolist(), strict=True
        )
    ]


def areas(predictions: SemanticMap, decimals: int = _DECIMALS) -> list[dict[str, Any]]:
    """One dictionary per present class, largest first: name, class, pixel_ratio (the part of the picture)."""
    return [
        {"name": class_name(predictions.labels, class_id), "class": class_id, "pixel_ratio": share}
        for class_id, share in zip(
            predictions.class_id.tolist(), _rounded(predictions.shares, decimals).tolist(), strict=True
        )
    ]


def rows(
    predictions: Predictions, size: tuple[int, int] | None = None, decimals: int = _DECIMALS
) -> list[dict[str, Any]]:
    """Whatever the task is; see `objects` for `size` and `decimals`."""
    match predictions:
        case Detections():
            return objects(predictions, size, decimals)
        case Classification():
            return scores(predictions, decimals)
        case SemanticMap():
            return areas(predictions, decimals)


def answer(predictions: Predictions) -> dict[str, Any]:
    """The fields of an answer."""
    return {"predictions": rows(predictions)}
