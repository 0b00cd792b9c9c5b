"""Roboflow's inference server, API v1: the registry, and `/infer/{task}` with JSON.

Wire formats: https://inference.roboflow.com/ and the public `inference-sdk` client.
"""

import asyncio
import time
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from vidette.remote.dialects import TASK_TYPES
from vidette.remote.requests import ROUTES
from vidette.serve.answering import enough, limits, places, predict
from vidette.serve.base64_pictures import decoding
from vidette.serve.bodies import read_body
from vidette.serve.dialects.roboflow_answers import THICKEST, Shown, answers, mask_detail, threshold, wanted
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.long_texts import Cut, LongText, restored, without
from vidette.serve.registry import Held
from vidette.serve.server import Server
from vidette.serve.turns import in_turns

router = APIRouter(tags=["inference server v1"])

_FETCHES = 4
"""URLs of one request that are fetched at once."""


class ImageObject(BaseModel):
    """A picture by value or URL."""

    type: str = Field(description="base64 or url")
    value: str | SkipJsonSchema[Cut]


class InferRequest(BaseModel):
    """The body of every `/infer` route; unknown fields are ignored."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    image: ImageObject | list[ImageObject]
    api_key: str | None = None
    id: str | None = None
    confidence: float | Literal["best", "default"] | None = None
    iou_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    class_agnostic_nms: bool | None = None
    class_filter: list[str] | None = None
    max_detections: Annotated[int | None, Field(ge=1)] = None
    max_candidates: Annotated[int | None, Field(ge=1)] = None
    keypoint_confidence: Annotated[float | None, Field(ge=0, le=1)] = None
    mask_decode_mode: str | None = Field(None, description="accurate, fast or tradeoff")
    tradeoff_factor: float | None = Field(None, description="of tradeoff: 0 fast, 1 accurate")
    response_mask_format: Literal["polygon", "rle"] | None = None
    disable_preproc_auto_orient: bool | None = None
    visualize_predictions: bool | None = None
    visualization_labels: bool | None = None
    visualization_stroke_width: Annotated[int | None, Field(ge=1, le=THICKEST)] = None


class ModelRequestBody(BaseModel):
    """The body of `/model/add` and `/model/remove`."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    model_type: str | None = None
    api_key: Annotated[str | None, BeforeValidator(lambda value: value)] = None


def parsed(model: type[BaseModel], body: bytes) -> Any:
    """A JSON body. Raises RequestError 422 without echoing the body."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        detail = [{**each, "loc": ["body", *each["loc"]]} for each in found]
        where = ".".join(str(part) for part in ("body", *found[0]["loc"]))
        raise RequestError(422, f"{where}: {detail[0]['msg']}", detail=detail) from None


@router.get("/model/registry", summary="The models that are loaded")
async def registry(request: Request) -> Response:
    """Answered from memory: clients ask before every inference."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")  # asked before every inference: not counted
    return json_response(_registry(server))


@router.post("/model/add", summary="Load a configured model")
async def add(request: Request) -> Response:
    """Loads a model by id or alias; answers when it is there."""
    server: Server = request.app.state.server
    body = parsed(ModelRequestBody, await read_body(request, 1e6, float(server.config.limits.slow)))
    server.keys.check(given_keys(request, body.api_key), "infer")  # who may ask a model may have it loaded
    server.refuse_other_pages(request)
    async with server.registry.use(body.model_id, float(server.config.limits.deadline)):
        return json_response(_registry(server))


@router.post("/model/remove", summary="Unload a model that no camera uses")
async def remove(request: Request) -> Response:
    """A model that is not loaded is skipped."""
    server: Server = request.app.state.server
    body = parsed(ModelRequestBody, await read_body(request, 1e6, float(server.config.limits.slow)))
    server.admit(request, given_keys(request, body.api_key), "manage")
    await server.registry.unload(await server.registry.search(body.model_id))
    return json_response(_registry(server))


@router.post("/model/clear", summary="Unload all models that no camera uses")
async def clear(request: Request) -> Response:
    """Models of cameras stay."""
    server: Server = request.app.state.server
    server.admit(request, given_keys(request), "manage")
    for held in server.registry.loaded():
        if not held.streams:
            await server.registry.unload(held)
    return json_response(_registry(server))


def _registry(server: Server) -> dict[str, Any]:
    models = []
    for held in server.registry.loaded():
        names = [*([] if held.aliases else [held.id]), *held.aliases, *([held.id] if held.aliases else [])]
        models += [_model(held, name) for name in names]
    return {
        "models": models,
        "total_vram_bytes": None,
        "gpu_memory_used": None,
        "gpu_memory_total": None,
        "torch_cuda_allocated": None,
        "torch_cuda_reserved": None,
        "torch_cuda_allocator_cache": None,
        "non_torch_gpu_memory": None,
    }


def _model(held: Held, name: str) -> dict[str, Any]:
    how = held.model.preprocess
    return {
        "model_id": name,
        "task_type": TASK_TYPES[held.model.task],
        "batch_size": how.batch,
        "input_height": how.height,
        "input_width": how.width,
        "vram_bytes": None,
        "request_aliases": held.aliases,
        "request_paths": [f"/infer/{ROUTES[TASK_TYPES[held.model.task]]}"],
    }


async def infer(request: Request) -> Response:
    """Predictions for one picture, or for a list of them; the model's task decides what they are."""
    server: Server = request.app.state.server
    with server.seat():
        return await _infer(request, server)


async def _infer(request: Request, server: Server) -> Response:
    bounds = server.config.limits
    begin = time.monotonic()
    if any(given_keys(request)):
        server.keys.check(given_keys(request), "infer")  # before the body is read; it may hold the key, where none came
    given = await read_body(request, float(bounds.body), float(bounds.slow))
    rest, texts = await in_turns(without(given))
    body: InferRequest = parsed(InferRequest, rest)
    server.admit(request, given_keys(request, body.api_key), "infer")
    masks = mask_detail(body.mask_decode_mode, body.tradeoff_factor)
    single = isinstance(body.image, ImageObject)
    objects = [body.image] if isinstance(body.image, ImageObject) else body.image
    most = min(bounds.pictures, bounds.waiting)  # more would never fit, and 503 says that they will
    if len(objects) > most:
        raise RequestError(413, f"{len(objects)} pictures in one request; this server takes {most}")
    await server.registry.search(body.model_id)  # an unknown model is told before anything is fetched
    files = await _files(server, objects, texts)
    deadline = time.monotonic() + float(bounds.deadline)
    async with server.registry.use(body.model_id, float(bounds.deadline)) as held:
        task = held.model.task
        if body.confidence == "best" and task == "keypoints":
            raise RequestError(422, "body.confidence: keypoint models have no `best` threshold")
        chosen = limits(
            held,
            wanted(
                threshold(body.confidence), body.iou_threshold, body.class_agnostic_nms, body.class_filter,
                body.max_detections, body.max_candidates, masks,
            ),
        )  # fmt: skip
        side = enough(held, drawn=bool(body.visualize_predictions))
        upright = not body.disable_preproc_auto_orient
        pictures = []
        decode_s = 0.0
        with places(held, len(files)):
            for number, data in enumerate(files):
                if time.monotonic() > deadline:
                    raise RequestError(504, "unpacking the pictures took longer than the deadline")
                try:
                    picture, took = await server.pictures.read(data, side, upright=upright)
                except RequestError as error:
                    raise error if single else _numbered(error, number) from None
                pictures.append(picture)
                decode_s += took
                if not server.pictures.fits(len(pictures), sum(p.width * p.height for p in pictures)):
                    raise RequestError(413, "the pictures of this request are too large together: send fewer at once")
        outcomes = await predict(held, pictures, chosen, deadline, decode_s / max(1, len(pictures)))
        shown = Shown(
            keypoint_confidence=body.keypoint_confidence or 0.0,
            masks=body.response_mask_format or "polygon",
            picture=bool(body.visualize_predictions),
            labels=bool(body.visualization_labels),
            stroke=body.visualization_stroke_width or 1,
        )
        inference_id = body.id or str(uuid4())
        seconds = time.monotonic() - begin
        made = await answers(outcomes, pictures, shown, inference_id, seconds)
    return json_response(made[0] if single else made)


for _route in sorted(ROUTES.values()):
    router.add_api_route(
        f"/infer/{_route}", infer, methods=["POST"], summary=f"Predictions: {_route.replace('_', ' ')}",
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/InferRequest"}}}}},
    )  # fmt: skip


async def _files(server: Server, objects: list[ImageObject], texts: dict[int, LongText]) -> list[bytes]:
    """The bytes of each picture. URLs are fetched beside each other, all of them within the request's deadline."""
    places = asyncio.Semaphore(_FETCHES)

    async def one(given: ImageObject) -> bytes:
        async with places:
            return await _bytes_of(server, given, texts)

    seconds = server.config.limits.deadline
    try:
        async with asyncio.timeout(float(seconds)):
            found = await asyncio.gather(*map(one, objects), return_exceptions=True)
    except TimeoutError:
        raise RequestError(400, f"Could not load input image. Cause: the URLs took longer than {seconds}") from None
    for number, each in enumerate(found):
        if isinstance(each, RequestError):
            raise each if len(objects) == 1 else _numbered(each, number)
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if isinstance(each, bytes)]


def _numbered(error: RequestError, number: int) -> RequestError:
    return RequestError(error.status, f"{error.message} (picture {number})", error.headers)


async def _bytes_of(server: Server, given: ImageObject, texts: dict[int, LongText]) -> bytes:
    kind = given.type.lower()
    if kind not in ("url", "base64"):
        raise RequestError(400, f"image type {given.type[:40]!r} is not taken here: use base64 or url")
    if isinstance(given.value, str):
        return await server.fetcher.fetch(given.value) if kind == "url" else await in_turns(decoding(given.value))
    long = restored(given.value, texts)
    if long is None or kind == "url":
        raise RequestError(422, "body.image.value: a URL or base64 is expected")
    return await in_turns(decoding(long.body, long.begin, long.end, escaped=True))
