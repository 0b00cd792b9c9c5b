"""What both Roboflow dialects share: how thresholds are read, and what answers look like."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

import numpy as np

from vidette.exit import Failure
from vidette.frame import Picture
from vidette.payloads import roboflow
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap
from vidette.result import Result
from vidette.serve.answering import Wanted, beside, refused
from vidette.serve.errors import RequestError
from vidette.serve.visualising import jpeg

DEFAULT_CONFIDENCE = 0.4
DEFAULT_IOU = 0.3
THICKEST = 100
"""Pixels of `stroke`."""
_ALL = 1_000_000
"""More than any picture has of anything: a classifier answers with all classes above the threshold."""
FLOOR = 0.01
"""The lowest confidence that is honoured; lower ones mean it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How an answer is to look.

    keypoint_confidence  points below it are left out
    masks                polygons or COCO run lengths
    picture, labels, stroke   whether a drawn picture comes along, with names, lines of how many pixels
    flat_semantic        semantic masks also at the top level, as the hosted API has them
    """

    keypoint_confidence: float = 0.0
    masks: Literal["polygon", "rle"] = "polygon"
    picture: bool = False
    labels: bool = False
    stroke: int = 1
    flat_semantic: bool = False


def at_least(confidence: float) -> float:
    """The threshold above which scores of at least `confidence` lie: Roboflow keeps what is equal to it."""
    most = float(np.finfo(np.float32).max)
    return float(np.nextafter(np.float32(min(max(confidence, FLOOR), most)), np.float32(0)))


def threshold(value: float | str | None) -> float | None:
    """`confidence` of a request: a number, or `best` and `default` for the model's own. None leaves it to the model."""
    if value is None:
        return at_least(DEFAULT_CONFIDENCE)
    if value in ("best", "default"):
        return None
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise RequestError(422, f"confidence: {value!r} is not a number from 0 to 1, nor best or default")
    return at_least(number)


def mask_detail(mode: str | None, factor: float | None) -> Literal["accurate", "fast"]:
    """`mask_decode_mode` and `tradeoff_factor` of a request. Raises RequestError 400 for what does not exist."""
    if mode not in (None, "accurate", "fast", "tradeoff"):
        raise RequestError(400, f"mask_decode_mode: {mode[:40]!r} is none of accurate, fast, tradeoff")
    if mode == "tradeoff" and not 0 <= (factor or 0.0) <= 1:
        raise RequestError(400, f"tradeoff_factor: {factor} is not between 0 and 1")
    return "fast" if mode == "fast" or (mode == "tradeoff" and not factor) else "accurate"


def wanted(
    confidence: float | None,
    iou: float | None = None,
    agnostic: bool | None = None,
    classes: Sequence[str] | None = None,
    max_detections: int | None = None,
    max_candidates: int | None = None,
    masks: str | None = None,
) -> Wanted:
    """A client's thresholds with Roboflow's defaults for what it leaves out."""
    return Wanted(
        confidence=confidence,
        iou=DEFAULT_IOU if iou is None else iou,
        agnostic=bool(agnostic),
        classes=None if classes is None else tuple(classes),
        max_detections=300 if max_detections is None else min(max_detections, _ALL),
        max_candidates=3000 if max_candidates is None else min(max_candidates, _ALL),
        masks=masks,
        top_k=_ALL,
    )


def answer(
    outcome: Result | Failure, picture: Picture, shown: Shown, inference_id: str, seconds: float
) -> dict[str, Any]:
    """The body for one picture. Raises RequestError when it failed."""
    if isinstance(outcome, Failure):
        raise refused(outcome)
    fields = _fields(outcome, shown)
    body: dict[str, Any] = {
        "inference_id": inference_id,
        "time": seconds,
        "image": {"width": outcome.width, "height": outcome.height},
        **fields,
    }
    if shown.picture:
        drawn = jpeg(picture, outcome.predictions, shown.stroke, shown.labels)
        body["visualization"] = base64.b64encode(drawn).decode()
    return body


async def answers(
    outcomes: Sequence[Result | Failure], pictures: Sequence[Picture], shown: Shown, inference_id: str, seconds: float
) -> list[dict[str, Any]]:
    """The bodies for the pictures of one request. Raises RequestError when one of them failed."""

    def made() -> list[dict[str, Any]]:
        pairs = zip(outcomes, pictures, strict=True)
        return [answer(outcome, picture, shown, inference_id, seconds) for outcome, picture in pairs]

    return await beside(made, outcomes, drawn=shown.picture)


def _fields(outcome: Result, shown: Shown) -> dict[str, Any]:
    match outcome.predictions:
        case Detections() as found:
            if shown.keypoint_confidence > 0 and found.keypoints is not None:
                points = found.keypoints.copy()
                points[points[..., 2] < shown.keypoint_confidence] = np.nan
                found = replace(found, keypoints=points)
            rows = roboflow.objects(found, (outcome.width, outcome.height) if shown.masks == "rle" else None)
            for row in rows:
                row["detection_id"] = str(uuid4())
            return {"predictions": rows}
        case Classification() as found:
            return roboflow.scores(found)
        case SemanticMap() as found:
            maps = roboflow.pictures(found, outcome.width, outcome.height)
            flat = ("segmentation_mask", "class_map") if shown.flat_semantic else ()
            return {"predictions": maps, **{name: maps[name] for name in flat}}
