"""The requests of each API as plain values. Whoever asks, the client or a stream's model, asks with these.

Wire formats: https://docs.roboflow.com/deploy/serverless-hosted-api-v2 and the public clients (API v0),
https://inference.roboflow.com/ (API v1), https://docs.ultralytics.com/hub/inference-api/ (HUB).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlencode

HOSTED = (
    *(f"{name}.roboflow.com" for name in ("detect", "outline", "classify", "infer", "serverless", "asyncinfer")),
    *("serverless.roboflow.one", "serverless.roboflow.eu", "serverless.roboflow-eu.one", "asyncinfer.roboflow.one"),
)
"""Hosts that speak API v0 (the list of `inference_sdk` 1.8.3)."""
ROUTES = {
    "object-detection": "object_detection",
    "instance-segmentation": "instance_segmentation",
    "keypoint-detection": "keypoints_detection",
    "classification": "classification",
    "semantic-segmentation": "semantic_segmentation",
}
"""`task_type` of the registry -> the last part of `/infer/...`."""
PASSING = (429, 503, 504)
"""Statuses that may be different a moment later."""

Fields: TypeAlias = Mapping[str, Any]
NOTHING: Fields = MappingProxyType({})
File: TypeAlias = tuple[str, bytes]
"""A name, whose ending says the kind, and the content."""
Place: TypeAlias = Literal["query", "body", "bearer", "x-api-key"]
"""Where a key can go."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    body         sent as JSON; or
    text         sent as it is; or
    file, form   a multipart form: its part `file` and its other fields
    secrets      texts that no error may show
    """

    method: Literal["GET", "POST"]
    url: str
    query: Fields = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Fields | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    file: File | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def keyed(self, key: str | None, *places: Place) -> "Request":
        """With the key in these places; without one as it is."""
        if key is None:
            return self
        query, headers, body = self.query, self.headers, self.body
        if "query" in places:
            query = {"api_key": key, **query}
        if "body" in places:
            body = {"api_key": key, **(body or {})}
        if "bearer" in places:
            headers = {**headers, "authorization": f"Bearer {key}"}
        if "x-api-key" in places:
            headers = {**headers, "x-api-key": key}
        return replace(self, query=query, headers=headers, body=body, secrets=(*self.secrets, key))

    def arguments(self) -> dict[str, Any]:
        """What httpx's `request` takes."""
        headers, content = self.headers, self.text.encode() if self.text is not None else None
        if self.body is not None:
            import orjson

            headers = {"content-type": "application/json", **headers}
            content = orjson.dumps(self.body, option=orjson.OPT_SERIALIZE_NUMPY)
        return {
            "method": self.method,
            "url": f"{self.url}?{urlencode(self.query)}" if self.query else self.url,  # httpx's `params` parse it twice
            "headers": headers,
            "content": content,
            "data": self.form,
            "files": None if self.file is None else {"file": self.file},
        }


def infer_v0(url: str, model: str, query: Fields, *, text: str | None = None, file: File | None = None) -> Request:
    """API v0: `/project/version`, the picture as base64 `text` or as a form's `file`."""
    # the server takes a text for base64 whatever it is called; this is what `inference_sdk` calls it
    headers = {} if text is None else {"content-type": "application/json"}
    return Request("POST", f"{url}/{quote(model)}", query, headers, text=text, file=file)


def infer_v1(
    url: str, task_type: str, model: str, pictures: Sequence[str], fields: Fields, query: Fields = NOTHING
) -> Request:
    """API v1: JSON with one base64 text or a list of them."""
    body = {"model_id": model, **fields, "image": images(pictures)}
    return Request("POST", f"{url}/infer/{ROUTES[task_type]}", query, body=body)


def images(pictures: Sequence[str]) -> Any:
    """The value of `image`: an object for one base64 text, a list for several."""
    objects = [{"type": "base64", "value": picture} for picture in pictures]
    return objects[0] if len(objects) == 1 else objects


def registry(url: str) -> Request:
    """API v1: which models are loaded."""
    return Request("GET", f"{url}/model/registry")


def add_model(url: str, model: str) -> Request:
    """API v1: have a model loaded."""
    return Request("POST", f"{url}/model/add", body={"model_id": model})


def hub(url: str, file: File, key: str | None, fields: Fields) -> Request:
    """HUB's form. Dedicated endpoints and the Platform, whose addresses end with `/predict`, want a bearer."""
    form = {name: str(value) for name, value in fields.items() if value is not None}
    places: tuple[Place, ...] = ("x-api-key", "bearer") if url.endswith("/predict") else ("x-api-key",)
    return Request("POST", url, file=file, form=form).keyed(key, *places)


def hide(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets, also as they stand in a URL."""
    for secret in secrets:
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text
