"""What a stream's model asks of each API, and where in the answer each picture's part is."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vidette.remote.endpoint import Endpoint
from vidette.remote.requests import Request, hub, infer_v0, infer_v1

Task = Literal["detection", "keypoints", "segmentation", "oriented", "classification", "semantic"]

TASK_TYPES: dict[Task, str] = {
    "detection": "object-detection", "oriented": "object-detection", "segmentation": "instance-segmentation",
    "keypoints": "keypoint-detection", "classification": "classification", "semantic": "semantic-segmentation",
}  # fmt: skip
"""Our tasks -> `task_type` of the registry, from which clients choose the route."""
HUB_TASKS: dict[Task, str] = {
    "detection": "detect", "segmentation": "segment", "keypoints": "pose", "oriented": "obb",
    "classification": "classify", "semantic": "semantic",
}  # fmt: skip
"""Our tasks -> HUB's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Thresholds that are sent along, and what the registry calls the model's task; see families/base.py.

    size   the longer side of the input that a HUB server should take
    """

    confidence: float = 0.25
    iou: float = 0.45
    agnostic: bool = False
    classes: tuple[str, ...] | None = None
    max_detections: int = 300
    masks: Literal["accurate", "fast"] = "accurate"
    task_type: str = "object-detection"
    size: int | None = None


def takes_lists(endpoint: Endpoint) -> bool:
    """Whether one request can hold several pictures."""
    return endpoint.dialect == "roboflow-v1"


def request(endpoint: Endpoint, asked: Asked, pictures: Sequence[bytes]) -> Request:
    """What is sent for JPEG pictures: one, or several where the dialect takes lists."""
    url, model, key = endpoint.url, endpoint.model, endpoint.secret
    if endpoint.dialect == "roboflow-v1":
        texts = [base64.b64encode(picture).decode() for picture in pictures]
        return infer_v1(url, asked.task_type, model, texts, _fields_v1(asked)).keyed(key, "body")
    file = ("frame.jpg", pictures[0])
    if endpoint.dialect == "hub":
        return hub(url if url.endswith("/predict") else f"{url}/", file, key, _fields_hub(asked, model))
    return infer_v0(url, model, _query_v0(asked), file=file).keyed(key, "query")


def answers(endpoint: Endpoint, body: Any, count: int) -> list[dict[str, Any]]:
    """Each picture's part of an answer. Raises ValueError when it is none to so many pictures."""
    found = body
    if endpoint.dialect == "hub":
        found = body.get("images") if isinstance(body, dict) else None
    elif count == 1 and isinstance(body, dict):
        found = [body]
    if not (isinstance(found, list) and len(found) == count and all(isinstance(each, dict) for each in found)):
        raise ValueError(f"it is no answer of {endpoint.dialect} to {count} picture{'s' * (count > 1)}")
    return found


def _fields_v1(asked: Asked) -> dict[str, Any]:
    fields: dict[str, Any] = {"confidence": asked.confidence}
    if asked.task_type not in ("classification", "semantic-segmentation"):
        fields |= {"iou_threshold": asked.iou, "max_detections": asked.max_detections}
        fields |= {"class_agnostic_nms": True} if asked.agnostic else {}
        fields |= {"class_filter": list(asked.classes)} if asked.classes is not None else {}
    if asked.task_type == "instance-segmentation":
        fields |= {"mask_decode_mode": asked.masks, "response_mask_format": "rle"}  # polygons lose holes and parts
    return fields


def _query_v0(asked: Asked) -> dict[str, str]:
    # The route takes 0..1 and 0..100 and tells them apart by `>= 1`: all that is 1 must be written as 100.
    query = {
        "confidence": _part(asked.confidence), "overlap": _part(asked.iou), "max_detections": str(asked.max_detections),
    }  # fmt: skip
    if asked.classes is not None:
        query["classes"] = ",".join(asked.classes)
    if asked.masks == "fast":
        query["mask_decode_mode"] = "fast"
    return query


def _part(value: float) -> str:
    return "100" if value >= 1 else f"{value:.6g}"


def _fields_hub(asked: Asked, model: str) -> dict[str, Any]:
    # Its documented ranges: conf 0.01 to 1, iou 0 to 0.95.
    conf, iou = f"{max(asked.confidence, 0.01):.6g}", f"{min(asked.iou, 0.95):.6g}"
    return {"conf": conf, "iou": iou, "model": model or None, "imgsz": asked.size}
