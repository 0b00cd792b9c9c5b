"""The API document: what every route takes and answers.

The handlers read bodies and queries themselves, because clients send base64 under any content type and numbers in
several scales; so FastAPI cannot know these, and they are stated here.
"""

import re
import warnings
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vidette.serve.dialects.roboflow_v1 import InferRequest, ModelRequestBody

Schema = dict[str, Any]

_ABOUT = """\
Predictions for pictures, in the dialects of Roboflow's hosted API and inference server and of Ultralytics HUB.

Keys, where the server has any, are taken as `api_key` in query or JSON body, as `Authorization: Bearer`, and as
`x-api-key`. Failures are JSON with `message`. Only 429, 503 and 504 pass by themselves; 429 and 503 say when in
`Retry-After`."""

_STATUS = {
    400: "The picture, form or request cannot be read",
    401: "No key, or a wrong one",
    403: "The key may not do this, nor another site's page where there are no keys",
    404: "There is no such model, stream or path",
    408: "The body came too slowly",
    409: "A camera uses the model, or the stream's state forbids it",
    413: "The body is larger than this server takes",
    422: "A parameter or field is not what it should be",
    429: "More requests than the key may make",
    500: "The model cannot be loaded, or an internal error",
    501: "Not served by this version",
    502: "The server that has the model did not answer, or not well",
    503: "Overloaded, still loading, or shutting down",
    504: "Not answered in time",
}
_GUARDED = (401, 403, 429, 500, 503)
_INFERRING = (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504)
_MANAGING = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503)


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}
_ANY: Schema = {"type": "object"}
_COUNTS: Schema = {"type": "object", "additionalProperties": _WHOLE}
_MAYBE: Schema = {"type": ["string", "null"]}
_FILE: Schema = {"type": "string", "format": "binary"}
_BASE64: Schema = {"type": "string", "format": "byte", "description": "base64 of a picture file"}

_SCHEMAS: dict[str, Schema] = {
    "Error": _object({"message": _TEXT}, detail={"anyOf": [_TEXT, _list(_ANY)]}),
    "Prediction": _object(
        {
            "inference_id": _TEXT,
            "time": _NUMBER,
            "image": _object({"width": _WHOLE, "height": _WHOLE}),
            "predictions": {"anyOf": [_list(_ANY), _ANY], "description": "centre, width and height in pixels; a list "
                            "of classes; an object by class where several apply; or PNG masks"},
        },
        visualization=_BASE64, top=_TEXT, confidence=_NUMBER, predicted_classes=_list(_TEXT),
    ),
    "Registry": _object(
        {"models": _list(_object({"model_id": _TEXT, "task_type": _TEXT}, request_aliases=_list(_TEXT)))}
    ),
    "Images": _object(
        {"images": _list(_object({"shape": {"type": ["array", "null"], "items": _WHOLE}, "results": _list(_ANY)})),
         "metadata": _ANY}
    ),
    "Stream": _object(
        {"id": _TEXT, "source": _TEXT, "model": _TEXT, "mode": {"enum": ["live", "lossless"]},
         "state": {"enum": ["running", "stopped", "ended", "failed"]},
         "reason": _MAYBE | {"description": "why it has failed, or cannot be started yet"},
         "epoch": _WHOLE | {"description": "how often it was started again; records carry it"},
         "fps": {"type": ["number", "null"], "description": "over all the time that it ran"}, "decoded": _WHOLE,
         "results": _WHOLE, "objects": _WHOLE, "dropped": _COUNTS, "failed": _COUNTS, "unreadable": _COUNTS,
         "in_flight": _WHOLE, "error": _MAYBE | {"description": "the last that went wrong, in any epoch"}}
    ),
    "Streams": _object({"streams": _list(_ref("Stream"))}),
}  # fmt: skip

_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_FLAG: Schema = {"enum": ["true", "false"]}
_QUERY: dict[str, tuple[Schema, str]] = {
    "image": (_TEXT, "URL of a picture; wins over a body"),
    "confidence": ({"anyOf": [_SHARE, {"enum": ["best", "default"]}]}, "score threshold; from 1 on it means per cent"),
    "overlap": (_SHARE, "overlap above which the weaker box goes; from 1 on it means per cent"),
    "classes": (_TEXT, "names of classes to keep, with commas between"),
    "max_detections": ({"type": "integer", "minimum": 1}, "objects per picture"),
    "keypoint_confidence": (_NUMBER, "points below it are left out"),
    "format": ({"enum": ["json", "image", "image_and_json"]}, "image: the drawn JPEG instead of JSON"),
    "labels": (_FLAG, "draw names"),
    "stroke": ({"type": "integer", "minimum": 1, "maximum": 100}, "pixels of drawn lines"),
    "mask_decode_mode": ({"enum": ["accurate", "fast", "tradeoff"]}, "detail of masks"),
    "tradeoff_factor": ({"type": "number", "minimum": 0, "maximum": 1}, "0 fast, 1 accurate"),
    "response_mask_format": ({"enum": ["polygon", "rle"]}, "how masks are written"),
    "disable_preproc_auto_orient": (_FLAG, "leave EXIF orientation out"),
}
_FORM: Schema = _object(
    {"file": _FILE}, model=_TEXT, conf={"type": "number", "minimum": 0.01, "maximum": 1},
    iou={"type": "number", "minimum": 0, "maximum": 0.95}, imgsz={"type": "integer", "minimum": 32, "maximum": 1280},
    normalize=_FLAG, decimals={"type": "integer", "minimum": 0, "maximum": 10}, bits={"enum": [8, 12, 16]},
)  # fmt: skip
_OLD_FORM: Schema = _object(
    {"image": _FILE}, url=_TEXT, confidence=_FORM["properties"]["conf"], iou=_FORM["properties"]["iou"],
    size=_FORM["properties"]["imgsz"],
)  # fmt: skip
_HOSTED_BODY = {
    "application/x-www-form-urlencoded": _BASE64,
    "application/json": {"anyOf": [_BASE64, _object({"image": _ANY})]},
    "text/plain": _BASE64,
    "multipart/form-data": _object({"file": _FILE}),
    "image/jpeg": _FILE,
}

_JSON = "application/json"
_INFER: Schema = {"anyOf": [_ref("Prediction"), _list(_ref("Prediction"))]}
_HUB = ({"multipart/form-data": _FORM}, {_JSON: _ref("Images")}, _INFERRING)
_STREAM: dict[str, Schema] = {_JSON: _ref("Stream")}
_CONTROL = (None, _STREAM, (401, 403, 404, 409, 429, 500, 503))
_PROJECT = (None, {_JSON: _ANY}, (401, 403, 404, 422, 500, 502, 503))
_ROUTES: dict[str, tuple[dict[str, Schema] | None, dict[str, Schema], tuple[int, ...]]] = {
    "/healthz": (None, {_JSON: _object({"status": _TEXT})}, ()),
    "/readiness": (None, {_JSON: _object({"status": _TEXT}, failed=_list(_TEXT), silent=_list(_TEXT))}, ()),
    "/metrics": (None, {"text/plain": _TEXT}, ()),
    "/info": (None, {_JSON: _object({"name": _TEXT, "version": _TEXT, "uuid": _TEXT})}, ()),
    "/streams": (None, {_JSON: _ref("Streams")}, _GUARDED),
    "/streams/{id}": (None, _STREAM, (401, 403, 404, 429, 500, 503)),
    "/streams/{id}/stop": _CONTROL,
    "/streams/{id}/start": _CONTROL,
    "/streams/{id}/restart": _CONTROL,
    "/": ({"multipart/form-data": _FORM}, {_JSON: {"anyOf": [_ref("Images"), _object({"workspace": _TEXT})]}},
          _INFERRING),
    "/predict": _HUB,
    "/api/models/{model}/predict": _HUB,
    "/v1/predict/{model}": (
        {"multipart/form-data": _OLD_FORM},
        {_JSON: _object({"success": {"type": "boolean"}, "message": _TEXT, "data": _list(_ANY)})},
        _INFERRING,
    ),
    "/model/registry": (None, {_JSON: _ref("Registry")}, _GUARDED),
    "/model/add": ({_JSON: _ref("ModelRequestBody")}, {_JSON: _ref("Registry")}, _MANAGING),
    "/model/remove": ({_JSON: _ref("ModelRequestBody")}, {_JSON: _ref("Registry")}, _MANAGING),
    "/model/clear": (None, {_JSON: _ref("Registry")}, _GUARDED),
    "/start/{dataset}/{version}": (None, {_JSON: _ANY}, _MANAGING),
    "/clear_cache": (None, {_JSON: _TEXT}, (503,)),
    "/{dataset}/{version}": (_HOSTED_BODY, {_JSON: _ref("Prediction"), "image/jpeg": _FILE}, _INFERRING),
}  # fmt: skip
"""Path -> body by content type, answer by content type, statuses of failures."""


def install(app: FastAPI) -> None:
    """Let `/openapi.json` and `/docs` be complete."""

    def document() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the same handler under two methods: ids are given below
        found = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    schemas = dict(_SCHEMAS)
    for model in (InferRequest, ModelRequestBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    found["components"] = {
        "schemas": schemas,
        "securitySchemes": {
            "query": {"type": "apiKey", "in": "query", "name": "api_key"},
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
    }
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _complete(operation, path, method, bool(app.state.server.keys))
    return found


def _complete(operation: Schema, path: str, method: str, keys: bool) -> None:
    infer = ({_JSON: _ref("InferRequest")}, {_JSON: _INFER}, _INFERRING) if path.startswith("/infer/") else _PROJECT
    body, answer, statuses = _ROUTES.get(path, infer)
    operation["operationId"] = method + re.sub(r"\W+", "_", path).rstrip("_")
    operation["responses"] = {"200": {"description": "OK", "content": _content(answer)}}
    if path == "/readiness":
        operation["responses"]["503"] = {"description": "Not yet, or not any more", "content": _content(answer)}
    for status in statuses:
        failure: Schema = {"description": _STATUS[status], "content": _content({_JSON: _ref("Error")})}
        if status in (429, 503):
            failure["headers"] = {"Retry-After": {"description": "seconds", "schema": _WHOLE}}
        operation["responses"][str(status)] = failure
    if body is not None and method == "post":
        operation["requestBody"] = {"required": path != "/{dataset}/{version}", "content": _content(body)}
    if path == "/{dataset}/{version}":
        operation["parameters"] += [
            {"name": name, "in": "query", "required": name == "image" and method == "get", "schema": schema,
             "description": about}
            for name, (schema, about) in _QUERY.items()
        ]  # fmt: skip
    if keys and 401 in statuses:
        operation["security"] = [{"query": []}, {"bearer": []}, {"header": []}]


def _content(by_type: dict[str, Schema]) -> Schema:
    return {kind: {"schema": schema} for kind, schema in by_type.items()}
