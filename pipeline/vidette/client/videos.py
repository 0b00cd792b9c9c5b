"""Clips that a model takes whole (action recognition)."""

import os
from typing import Any

from vidette.client.configuration import HTTPClientMode
from vidette.client.errors import InvalidInputFormatError, ModelTaskTypeNotSupportedError
from vidette.client.inference import Result, get_model_description, two_part_model
from vidette.client.pictures import file_bytes, is_url, to_base64
from vidette.client.state import ClientState
from vidette.client.wire import Plan, ask, work
from vidette.remote.requests import Request

_ROUTES = {"action-recognition": "/infer/action_recognition"}


def infer_on_video(self: ClientState, video_reference: str, model_id: str | None = None) -> Plan[Result]:
    """What a model that takes clips says to a file or URL. A URL is fetched by the server."""
    by_dialect = infer_on_video_from_api_v0 if self.client_mode is HTTPClientMode.V0 else infer_on_video_from_api_v1
    return (yield from by_dialect(self, video_reference, model_id))


def infer_on_video_from_api_v0(self: ClientState, video_reference: str, model_id: str | None = None) -> Plan[Result]:
    """The same with API v0, whichever is selected."""
    project = two_part_model(self, model_id)
    kind, clip = yield from _clip(video_reference)
    classes = self.inference_configuration.class_filter
    query = {"class_filter": ",".join(classes)} if classes else {}
    url = f"{self.api_url}/{project}"
    if kind == "url":
        request = Request("POST", url, {**query, "image": clip}, {"content-type": "application/json"})
    else:
        request = Request("POST", url, query, {"content-type": "application/x-www-form-urlencoded"}, text=clip)
    return (yield from ask(self.keyed(request, "query")))


def infer_on_video_from_api_v1(self: ClientState, video_reference: str, model_id: str | None = None) -> Plan[Result]:
    """The same with API v1; raises ModelTaskTypeNotSupportedError where the model takes pictures."""
    model = self.model_or_selected(model_id)
    task = (yield from get_model_description(self, model)).task_type
    if task not in _ROUTES:
        raise ModelTaskTypeNotSupportedError(
            f"the task {task} takes pictures, not a clip: use infer, or infer_on_stream frame by frame"
        )
    kind, clip = yield from _clip(video_reference)
    body: dict[str, Any] = {"model_id": model, "video": {"type": kind, "value": clip}}
    if self.inference_configuration.class_filter is not None:
        body["class_filter"] = self.inference_configuration.class_filter
    return (yield from ask(self.core_request(_ROUTES[task], body)))


def _clip(reference: Any) -> Plan[tuple[str, str]]:
    """The type and value of a clip: a URL as it is, a file as base64 text; raises InvalidInputFormatError."""
    if is_url(reference):
        return "url", reference
    if not isinstance(reference, str | os.PathLike) or not os.path.isfile(reference):
        raise InvalidInputFormatError(f"{reference!r} is no video: a URL or the path of a file is one")
    return "base64", (yield from work(lambda: to_base64(file_bytes(reference)[1])))
