"""How the client asks: thresholds, drawing, batches, and where the key goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from vidette.client.errors import InvalidParameterError, ModelTaskTypeNotSupportedError


class HTTPClientMode(StrEnum):
    """Which of the two dialects is spoken.

    V0: the picture is the whole body of `POST /project/version`. V1: JSON to `POST /infer/task`.
    """

    V0 = "v0"
    V1 = "v1"


class ApiKeyTransport(StrEnum):
    """Where the key goes. LEGACY: query (v0) or body (v1); HEADER: `Authorization: Bearer`; BOTH: in both places."""

    LEGACY = "legacy"
    BOTH = "both"
    HEADER = "header"


class VisualisationResponseFormat(StrEnum):
    """What pictures of an answer become: base64 text, a BGR array, a PIL image."""

    BASE64 = "base64"
    NUMPY = "numpy"
    PILLOW = "pillow"


_DRAWING_AND_PREPARING = {
    "disable_preproc_auto_orientation": "disable_preproc_auto_orient",
    "disable_preproc_contrast": "disable_preproc_contrast",
    "disable_preproc_grayscale": "disable_preproc_grayscale",
    "disable_preproc_static_crop": "disable_preproc_static_crop",
    "confidence_threshold": "confidence",
    "visualize_predictions": "visualize_predictions",
    "stroke_width": "visualization_stroke_width",
    "disable_active_learning": "disable_active_learning",
    "active_learning_target_dataset": "active_learning_target_dataset",
    "source": "source",
    "source_info": "source_info",
}
_DETECTION = _DRAWING_AND_PREPARING | {
    "class_agnostic_nms": "class_agnostic_nms",
    "class_filter": "class_filter",
    "fix_batch_size": "fix_batch_size",
    "iou_threshold": "iou_threshold",
    "max_detections": "max_detections",
    "max_candidates": "max_candidates",
    "visualize_labels": "visualization_labels",
}
_MASKS = {
    name: name
    for name in ("mask_decode_mode", "tradeoff_factor", "allow_reduced_mask_resolution", "response_mask_format")
}
_V1: Mapping[str, Mapping[str, str]] = {
    "object-detection": _DETECTION,
    "keypoint-detection": _DETECTION | {"keypoint_confidence_threshold": "keypoint_confidence"},
    "instance-segmentation": _DETECTION | _MASKS,
    "classification": _DRAWING_AND_PREPARING | {"include_anomaly_map": "include_anomaly_map"},
}
"""Body fields of API v1 by task: field of the configuration -> name on the wire."""

_BILLING = {"service_secret": "service_secret", "count_inference": "countinference"}
_V0: Mapping[str, str] = {
    **{name: wire for name, wire in _DRAWING_AND_PREPARING.items() if name != "visualize_predictions"},
    **_MASKS,
    **_BILLING,
    "keypoint_confidence_threshold": "keypoint_confidence",
    "format": "format",
    "visualize_labels": "labels",
    "max_detections": "max_detections",
    "iou_threshold": "overlap",
    "stroke_width": "stroke",
    "include_anomaly_map": "include_anomaly_map",
}
"""Query parameters of API v0."""


def _picture_endings() -> list[str] | None:
    return ["jpg", "jpeg", "JPG", "JPEG", "png", "PNG"]


@dataclass(frozen=True)
class InferenceConfiguration:
    """What goes along with every request. Whatever is None is not sent: the server's default holds.

    Fields, in the order of `inference_sdk.InferenceConfiguration`. Those that stay with the client:

    output_visualisation_format            what drawn pictures of an answer become
    image_extensions_for_directory_scan    which files of a folder `infer_on_stream` takes; None for every picture
    client_downsizing_disabled             False makes pictures smaller before they are sent: to the model's input size
                                           where the server tells it, else to `default_max_input_size`; coordinates of
                                           the answer are those of the picture that was given
    max_batch_size                         pictures per request (API v1)
    max_concurrent_requests                requests at a time
    profiling_directory                    where `run_workflow(enable_profiling=True)` writes its traces
    api_key_transport                      where the key goes; None is LEGACY

    Raises InvalidParameterError for unknown transports and formats.
    """

    confidence_threshold: float | Literal["best", "default"] | None = None
    keypoint_confidence_threshold: float | None = None
    format: str | None = None
    mask_decode_mode: str | None = None
    tradeoff_factor: float | None = None
    max_candidates: int | None = None
    max_detections: int | None = None
    iou_threshold: float | None = None
    stroke_width: int | None = None
    count_inference: bool | None = None
    service_secret: str | None = field(default=None, repr=False)
    disable_preproc_auto_orientation: bool | None = None
    disable_preproc_contrast: bool | None = None
    disable_preproc_grayscale: bool | None = None
    disable_preproc_static_crop: bool | None = None
    class_agnostic_nms: bool | None = None
    class_filter: list[str] | None = None
    fix_batch_size: bool | None = None
    include_anomaly_map: bool | None = None
    visualize_predictions: bool = False
    visualize_labels: bool | None = None
    output_visualisation_format: VisualisationResponseFormat = VisualisationResponseFormat.BASE64
    image_extensions_for_directory_scan: list[str] | None = field(default_factory=_picture_endings)
    client_downsizing_disabled: bool = True
    default_max_input_size: int = 1024
    disable_active_learning: bool = False
    active_learning_target_dataset: str | None = None
    max_concurrent_requests: int = 1
    max_batch_size: int = 1
    source: str | None = None
    source_info: str | None = None
    profiling_directory: str = "./inference_profiling"
    workflow_run_retries_enabled: bool = True
    response_mask_format: Literal["polygon", "rle"] | None = None
    api_key_transport: ApiKeyTransport | str | None = None
    allow_reduced_mask_resolution: bool = False

    def __post_init__(self) -> None:
        for name, kind in (
            ("api_key_transport", ApiKeyTransport),
            ("output_visualisation_format", VisualisationResponseFormat),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError:
                known = ", ".join(member.value for member in kind)
                raise InvalidParameterError(f"{name}: {value!r} is none of {known}") from None

    @classmethod
    def init_default(cls) -> "InferenceConfiguration":
        """Every default."""
        return cls()

    def to_api_call_parameters(self, client_mode: HTTPClientMode, task_type: str) -> dict[str, Any]:
        """The fields as one API sends them for a task; raises ModelTaskTypeNotSupportedError."""
        if client_mode is HTTPClientMode.V0:
            return self.to_legacy_call_parameters()
        return self._named(_V1[supported(task_type)])

    def to_legacy_call_parameters(self) -> dict[str, Any]:
        """The query parameters of API v0."""
        return self._named(_V0)

    def to_billing_query_parameters(self) -> dict[str, Any]:
        """What goes into the query in both APIs."""
        return self._named(_BILLING)

    def _named(self, names: Mapping[str, str]) -> dict[str, Any]:
        values = ((wire, getattr(self, name)) for name, wire in names.items())
        return {wire: value for wire, value in values if value is not None}


def supported(task_type: str) -> str:
    """The task, if API v1 has a route for pictures of it; raises ModelTaskTypeNotSupportedError."""
    if task_type in _V1:
        return task_type
    if task_type == "action-recognition":
        told = "takes a clip, not a picture: use infer_on_video"
    else:
        told = "has no route in API v1" + (": use select_api_v0()" if task_type == "semantic-segmentation" else "")
    raise ModelTaskTypeNotSupportedError(f"the task {task_type} {told}")
