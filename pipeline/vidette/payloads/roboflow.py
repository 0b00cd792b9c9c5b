"""Roboflow's prediction dictionaries: boxes by centre and size, in pixels of the source picture.

Fields as in the answers of Roboflow's hosted API and its open inference server, `detection_id` left to whoever
answers a request. Numbers are not rounded, and so are those of the server.
"""

import base64
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.labels import class_name
from vidette.predictions.semantic import SemanticMap


def objects(predictions: Detections, rle: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """One dictionary per object: x, y (centre), width, height, confidence, class, class_id.

    Models with keypoints add `keypoints`: x, y, confidence, class_id (index in the skeleton), class and class_name
    (equal: the server writes the first, the hosted documents the second). Points that are not finite are left out;
    the others keep their class_id.

    Oriented boxes are enclosed by x, y, width and height, and add `points`: their four corners in order.

    Models with masks add `points`, the outer outline with most corners, and `mask_format` "polygon". An object without
    a pixel has its box's centre three times: clients read from the first object which fields all have, and drop the
    masks of all for one of fewer than three points. With `rle`, the width and height of the picture, it is
    `rle: {size: [height, width], counts}`, COCO's compressed run lengths, and `mask_format` "rle".
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
    if predictions.masks is not None and rle is not None:
        for row, lengths in zip(rows, predictions.masks.rle(*rle), strict=True):
            row |= {"rle": lengths, "mask_format": "rle"}
    elif predictions.masks is not None:
        for row, outlines in zip(rows, predictions.masks.outlines("longest"), strict=True):
            points = outlines[0].points.tolist() if outlines else [(row["x"], row["y"])] * 3
            row |= {"points": [{"x": x, "y": y} for x, y in points], "mask_format": "polygon"}
    if predictions.keypoints is not None:
        for row, points in zip(rows, predictions.keypoints.tolist(), strict=True):
            row["keypoints"] = [
                {"x": x, "y": y, "confidence": seen, "class_id": i, "class": name, "class_name": name}
                for i, (name, (x, y, seen)) in enumerate(zip(names, points, strict=True))
                if isfinite(x) and isfinite(y) and isfinite(seen)
            ]
    return rows


def scores(predictions: Classification) -> dict[str, Any]:
    """One label: `predictions` (class, class_id, confidence; best first, rounded to 4 decimals as the server does),
    `top` and its `confidence`, which are "" and 0 where no class counts. Several labels: `predictions` by name, with
    every class of the model, and the `predicted_classes`, those that count.
    """
    labels = predictions.labels
    if predictions.multi_label:
        every = enumerate(predictions.scores.tolist())
        return {
            "predictions": {class_name(labels, i): {"confidence": score, "class_id": i} for i, score in every},
            "predicted_classes": [predictions.label(i) for i in range(len(predictions))],
        }
    rows = [
        {"class": class_name(labels, class_id), "class_id": class_id, "confidence": round(confidence, 4)}
        for class_id, confidence in zip(predictions.class_id.tolist(), predictions.confidence.tolist(), strict=True)
    ]
    best = rows[0] if rows else {"class": "", "confidence": 0.0}
    return {"predictions": rows, "top": best["class"], "confidence": best["confidence"]}


def _classes(predictions: SemanticMap) -> dict[str, Any]:
    """All classes of the model by number, and which of them are present."""
    count = max(len(predictions.labels), int(predictions.class_id.max(initial=-1)) + 1)
    return {
        "class_map": {str(i): class_name(predictions.labels, i) for i in range(count)},
        "present_class_ids": sorted(predictions.class_id.tolist()),
    }


def areas(predictions: SemanticMap) -> dict[str, Any]:
    """A semantic map for records: `segmentation_rle` in place of the server's two PNG pictures, beside its `class_map`
    and `present_class_ids`.

    `segmentation_rle` has the `size` (height, width) of the grid that the model answered with, its `extent` (left, top,
    right, bottom) in pixels of the picture, and COCO's compressed run lengths of each present class under `counts`.
    Two PNG pictures of 1080p take 9 to 16 ms of CPU a frame, this 0.1 to 0.2.
    """
    rows = predictions.rle()
    grid = {
        "size": list(predictions.classes.shape),
        "extent": predictions.extent.tolist(),
        "counts": {str(i): row["counts"] for i, row in zip(predictions.class_id.tolist(), rows, strict=True)},
    }
    return {"segmentation_rle": grid, **_classes(predictions)}


def pictures(predictions: SemanticMap, width: int, height: int) -> dict[str, Any]:
    """A semantic map as the server answers a request: two PNG pictures of the source picture's size, as base64.

    `segmentation_mask` has the class of each pixel, 255 where there is none (classes from 255 on do not fit and become
    255 too), `confidence_mask` the score in 255ths, rounded down.
    """
    classes = np.minimum(predictions.dense(width, height), 255).astype(np.uint8)
    sure = (predictions.dense_scores(width, height) * 255).astype(np.uint8)
    return {"segmentation_mask": _png(classes), "confidence_mask": _png(sure), **_classes(predictions)}


def _png(picture: npt.NDArray[np.uint8]) -> str:
    import cv2  # records do not need it

    # Lines of equal bytes: without filters, looking for runs only, it takes a third of the time.
    how = {
        cv2.IMWRITE_PNG_COMPRESSION: 1,
        cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_NONE,
        cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_RLE,
    }
    encoded = cv2.imencode(".png", picture, [number for pair in how.items() for number in pair])[1]
    return base64.b64encode(encoded.tobytes()).decode()


def answer(predictions: Predictions) -> dict[str, Any]:
    """The fields of an answer; of semantic maps as records have them, see `areas` and `pictures`."""
    match predictions:
        case Detections():
            return {"predictions": objects(predictions)}
        case Classification():
            return scores(predictions)
        case SemanticMap():
            return {"predictions": areas(predictions)}
