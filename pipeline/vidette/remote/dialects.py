"""How each API is asked for predictions, and where in its answer each picture's are.

Wire formats: https://docs.roboflow.com/deploy/serverless-hosted-api-v2 and the public clients (`roboflow-v0`),
https://inference.roboflow.com/ (`roboflow-v1`), https://docs.ultralytics.com/hub/inference-api/ (`hub`).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from vidette.remote.endpoint import Endpoint

ROUTES = {
    "object-detection": "object_detection",
    "instance-segmentation": "instance_segmentation",
    "keypoint-detection": "keypoints_detection",
    "classification": "classification",
    "semantic-segmentation": "semantic_segmentation",
}
"""`task_type` of the registry -> the last part of `/infer/...`."""


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


@dataclass(frozen=True, slots=True)
class Post:
    """A request. `files` and `data` make a form, `json` is the body otherwise."""

    url: str
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    files: dict[str, tuple[str, bytes, str]] | None = None
    data: dict[str, str] | None = None


def takes_lists(endpoint: Endpoint) -> bool:
    """Whether one request can hold several pictures."""
    return endpoint.dialect == "roboflow-v1"


def post(endpoint: Endpoint, asked: Asked, pictures: Sequence[bytes]) -> Post:
    """The request for JPEG pictures: one, or several where the dialect takes lists."""
    if endpoint.dialect == "roboflow-v1":
        return _infer(endpoint, asked, pictures)
    form = {"file": ("frame.jpg", pictures[0], "image/jpeg")}
    return _hub(endpoint, asked, form) if endpoint.dialect == "hub" else _hosted(endpoint, asked, form)


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


def _infer(endpoint: Endpoint, asked: Asked, pictures: Sequence[bytes]) -> Post:
    images = [{"type": "base64", "value": base64.b64encode(picture).decode()} for picture in pictures]
    body: dict[str, Any] = {
        "model_id": endpoint.model,
        "image": images[0] if len(images) == 1 else images,
        "confidence": asked.confidence,
    }
    if asked.task_type not in ("classification", "semantic-segmentation"):
        body |= {"iou_threshold": asked.iou, "max_detections": asked.max_detections}
        body |= {"class_agnostic_nms": True} if asked.agnostic else {}
        body |= {"class_filter": list(asked.classes)} if asked.classes is not None else {}
    if asked.task_type == "instance-segmentation":
        body |= {"mask_decode_mode": asked.masks, "response_mask_format": "rle"}  # polygons lose holes and parts
    if endpoint.secret is not None:
        body["api_key"] = endpoint.secret
    return Post(f"{endpoint.url}/infer/{ROUTES[asked.task_type]}", json=body)


def _hosted(endpoint: Endpoint, asked: Asked, form: dict[str, tuple[str, bytes, str]]) -> Post:
    # The route takes 0..1 and 0..100 and tells them apart by `>= 1`: all that is 1 must be written as 100.
    params = {
        "confidence": _part(asked.confidence), "overlap": _part(asked.iou), "max_detections": str(asked.max_detections),
    }  # fmt: skip
    if asked.classes is not None:
        params["classes"] = ",".join(asked.classes)
    if asked.masks == "fast":
        params["mask_decode_mode"] = "fast"
    if endpoint.secret is not None:
        params["api_key"] = endpoint.secret
    return Post(f"{endpoint.url}/{quote(endpoint.model)}", params=params, files=form)


def _part(value: float) -> str:
    return "100" if value >= 1 else f"{value:.6g}"


def _hub(endpoint: Endpoint, asked: Asked, form: dict[str, tuple[str, bytes, str]]) -> Post:
    # Its documented ranges: conf 0.01 to 1, iou 0 to 0.95.
    data = {"conf": f"{max(asked.confidence, 0.01):.6g}", "iou": f"{min(asked.iou, 0.95):.6g}"}
    if endpoint.model:
        data["model"] = endpoint.model
    if asked.size is not None:
        data["imgsz"] = str(asked.size)
    headers = {}
    if endpoint.secret is not None:
        headers["x-api-key"] = endpoint.secret
        if endpoint.url.endswith("/predict"):  # dedicated endpoints and the Platform
            headers["Authorization"] = f"Bearer {endpoint.secret}"
    return Post(endpoint.url if endpoint.url.endswith("/predict") else endpoint.url + "/", headers=headers, files=form,
                data=data)  # fmt: skip
