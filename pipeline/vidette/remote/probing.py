"""What is behind a URL: asked once, before anything runs."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vidette.errors import ModelError
from vidette.remote.dialects import HUB_TASKS, TASK_TYPES, Asked, Task, answers, request
from vidette.remote.endpoint import Endpoint
from vidette.remote.requests import Request, add_model, registry
from vidette.remote.trouble import Trouble, body_of, quiet, unreached

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Found:
    """A model that answers.

    endpoint       with its dialect
    task           as far as the server tells: hosted servers do not say `segmentation` before an object is seen
    width, height  of the model's input where the server says that it is fixed: larger pictures gain nothing
    why            by which facts, in one line
    """

    endpoint: Endpoint
    task: Task
    width: int | None
    height: int | None
    why: str

    @property
    def task_type(self) -> str:
        """What the registry calls the task."""
        return TASK_TYPES[self.task]


def probe(endpoint: Endpoint) -> Found:
    """Ask the server for the model. Raises ModelError: no server, a wrong key, an unknown model."""
    import httpx

    quiet()
    try:
        with httpx.Client(timeout=endpoint.options.timeout) as client:
            if endpoint.dialect in (None, "roboflow-v1"):
                found = _registered(endpoint, client)
                if found is not None:
                    return found
                endpoint = replace(endpoint, dialect="roboflow-v0")
            return _tried(endpoint, client)
    except Trouble as trouble:
        raise _told(endpoint, trouble) from None


def _registered(endpoint: Endpoint, client: "httpx.Client") -> Found | None:
    """By the registry of an inference server; None where there is none and the URL may mean the hosted API."""
    asked = registry(endpoint.url).keyed(endpoint.secret, "query")
    try:
        listed = _ask(endpoint, client, asked)
    except Trouble as trouble:
        if endpoint.dialect is None and trouble.status and trouble.status not in (401, 403):
            return None
        raise
    named = replace(endpoint, dialect="roboflow-v1")
    if not _is_registry(listed):
        if endpoint.dialect is None:
            return None
        raise ModelError(
            f"{endpoint}: {asked.url} is no registry of models; `options: {{dialect: roboflow-v0}}`, or hub"
        )
    entry = _entry(listed, endpoint.model)
    if entry is None:
        listed = _ask(named, client, add_model(endpoint.url, endpoint.model).keyed(endpoint.secret, "body"))
        entry = _entry(listed, endpoint.model) if _is_registry(listed) else None
    if entry is None:
        raise ModelError(f"{named}: the server does not have the model {endpoint.model!r}")
    kind = entry.get("task_type")
    task = _named(TASK_TYPES, kind)
    if task is None:
        raise ModelError(f"{named}: its task is {str(kind)[:40]!r}, which no stream can be watched with")
    sides = entry.get("input_width"), entry.get("input_height")
    width, height = (side if isinstance(side, int) and side > 0 else None for side in sides)
    return Found(named, task, width, height, f"the server's registry says {kind}")


def _named(table: dict[Task, str], name: Any) -> Task | None:
    """The first task that a server calls so."""
    return next((task for task, kind in table.items() if kind == name), None)


def _is_registry(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("models"), list)


def _entry(registry: dict[str, Any], model: str) -> dict[str, Any] | None:
    entries = (each for each in registry["models"] if isinstance(each, dict))
    return next((each for each in entries if each.get("model_id") == model), None)


def _tried(endpoint: Endpoint, client: "httpx.Client") -> Found:
    """By what it answers to a grey picture."""
    import cv2
    import numpy as np

    grey = cv2.imencode(".jpg", np.full((64, 64, 3), 114, np.uint8))[1].tobytes()
    body = _ask(endpoint, client, request(endpoint, Asked(), [grey]))
    try:
        answer = answers(endpoint, body, 1)[0]
    except ValueError as error:
        raise ModelError(f"{endpoint}: {error}; is this the right URL, and `options: {{dialect: ...}}`?") from None
    if endpoint.dialect == "hub":
        metadata = body.get("metadata")
        told = metadata.get("task") if isinstance(metadata, dict) else None
        return Found(endpoint, _named(HUB_TASKS, told) or "detection", None, None, f"it answers with task {told}")
    return Found(endpoint, _looks_like(answer), None, None, "by the form of its answer")


def _looks_like(answer: dict[str, Any]) -> Task:
    rows = answer.get("predictions")
    if "segmentation_mask" in answer or (isinstance(rows, dict) and "segmentation_mask" in rows):
        return "semantic"
    if isinstance(rows, dict) or "top" in answer:
        return "classification"
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return "keypoints" if "keypoints" in first else "segmentation" if "points" in first else "detection"


def _ask(endpoint: Endpoint, client: "httpx.Client", asked: Request) -> Any:
    """The body of an answer; a server that is busy, or still loading the model, is asked again within the timeout."""
    import httpx

    deadline = time.monotonic() + endpoint.options.timeout
    while True:
        try:
            return body_of(endpoint, client.request(**asked.arguments()))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise unreached(endpoint, error) from None
        except Trouble as trouble:
            pause = max(trouble.after, 0.5)
            if not trouble.again or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)


def _told(endpoint: Endpoint, trouble: Trouble) -> ModelError:
    if trouble.status in (401, 403):
        if endpoint.secret is None:
            return ModelError(f"{endpoint}: the server wants a key: `api_key: ${{NAME}}` of the model, or ?api_key=")
        return ModelError(f"{endpoint}: the server does not accept the api_key")
    return ModelError(str(trouble))
