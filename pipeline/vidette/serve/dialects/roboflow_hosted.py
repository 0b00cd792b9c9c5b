"""Roboflow's hosted API: `GET|POST /{dataset}/{version}` with the picture in every form that is in the wild.

Wire format: https://docs.roboflow.com/deploy/serverless-hosted-api-v2 and the public clients.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams, UploadFile
from starlette.responses import Response

from vidette.result import Result
from vidette.serve.answering import enough, limits, places, predict
from vidette.serve.base64_pictures import decoding, is_picture
from vidette.serve.bodies import read_body
from vidette.serve.dialects.roboflow_answers import (
    THICKEST,
    Shown,
    answers,
    at_least,
    mask_detail,
    threshold,
    wanted,
)
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.forms import flag, is_form, read_form
from vidette.serve.long_texts import restored, without
from vidette.serve.server import Server
from vidette.serve.turns import in_turns
from vidette.serve.visualising import jpeg

router = APIRouter(tags=["hosted API"])

_DIGITS = 1000
"""Longer numbers are none: Python itself refuses to read them."""


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a hosted request; unknown ones are ignored, empty ones are absent."""

    confidence: float | None
    overlap: float | None
    classes: list[str] | None
    max_detections: int | None
    shown: Shown
    format: Literal["json", "image", "image_and_json"]
    masks: str
    best: bool
    oriented: bool


def read_query(query: QueryParams) -> Query:
    """Raises RequestError 422 for values that cannot be read, 400 for mask details that do not exist."""

    def text(name: str) -> str | None:
        return query.get(name, "").strip() or None

    def number(name: str) -> float | None:
        given = text(name)
        if given is None:
            return None
        try:
            return float(given)
        except ValueError:
            raise _invalid(name, given, "a number") from None

    def whole(name: str, most: float = math.inf) -> int | None:
        given = text(name)
        if given is None:
            return None
        if not given.isdecimal() or len(given) > _DIGITS or not 1 <= int(given) <= most:
            raise _invalid(name, given, "a number from 1" + f" to {most}" * math.isfinite(most))
        return int(given)

    def switch(name: str) -> bool:
        value = flag(given := text(name) or "false")
        if value is None:
            raise _invalid(name, given, "true or false")
        return value

    def part(name: str) -> float | None:
        value = number(name)
        if value is not None and not 0 <= value <= 100:
            raise _invalid(name, str(value), "a number from 0 to 1, or from 1 to 100 per cent")
        return value / 100 if value is not None and value >= 1 else value

    given = text("confidence")
    named = given in (None, "best", "default")
    confidence = threshold(given) if named else at_least(part("confidence") or 0.0)
    masks = text("response_mask_format") or "polygon"
    if masks not in ("polygon", "rle"):
        raise _invalid("response_mask_format", masks, "polygon or rle")
    listed = text("classes") or text("class_filter")
    format = text("format")
    return Query(
        confidence=confidence,
        overlap=part("overlap"),
        classes=[name.strip() for name in listed.split(",") if name.strip()] if listed else None,
        max_detections=whole("max_detections"),
        shown=Shown(
            keypoint_confidence=number("keypoint_confidence") or 0.0,
            masks="rle" if masks == "rle" else "polygon",
            picture=format == "image_and_json",
            labels=switch("labels"),
            stroke=whole("stroke", THICKEST) or 1,
            flat_semantic=True,
        ),
        format="image" if format == "image" else "image_and_json" if format == "image_and_json" else "json",
        masks=mask_detail(text("mask_decode_mode"), number("tradeoff_factor")),
        best=text("confidence") == "best",
        oriented=not switch("disable_preproc_auto_orient"),
    )


def _invalid(name: str, given: str, wanted: str) -> RequestError:
    message = f"query.{name}: {given[:40]!r} is not {wanted}"
    return RequestError(422, message, detail=[{"type": "value_error", "loc": ["query", name], "msg": message}])


async def picture_of(request: Request, server: Server) -> bytes:
    """The picture's bytes: `image=` in the query, the part `file` of a form, else the whole body as base64.

    Raises RequestError 400 when there is none, 413 when it is too large.
    """
    kind = request.query_params.get("image_type", "").strip().lower()
    if kind not in ("", "url", "base64"):
        raise RequestError(400, f"image_type {kind[:40]!r} is not taken here: use base64 or url")
    if url := request.query_params.get("image", "").strip():
        return await server.fetcher.fetch(url)
    if request.method == "GET":
        raise RequestError(400, "name a picture with image=URL, or POST one")
    bounds = server.config.limits
    if is_form(request):
        async with read_form(request, bounds, float(bounds.body)) as form:
            part = form.get("file")
            if not isinstance(part, UploadFile):
                raise RequestError(400, "Could not load input image. Cause: the form has no part `file` with a picture")
            return await part.read()
    body = await read_body(request, float(bounds.body), float(bounds.slow))
    if body[:1] == b"{" and not is_picture(body):
        return await _picture_of_json(body, server)
    return await in_turns(decoding(body))


async def _picture_of_json(body: bytes, server: Server) -> bytes:
    rest, texts = await in_turns(without(body))
    try:
        image = orjson.loads(rest).get("image")
    except (orjson.JSONDecodeError, AttributeError):
        raise RequestError(400, "Could not load input image. Cause: the body is neither base64 nor JSON") from None
    kind, value = "base64", image
    if isinstance(image, dict) and restored(image, texts) is None:
        kind, value = str(image.get("type", "base64")).lower(), image.get("value")
    if kind == "base64" and (long := restored(value, texts)) is not None:
        return await in_turns(decoding(long.body, long.begin, long.end, escaped=True))
    if not isinstance(value, str) or kind not in ("url", "base64"):
        raise RequestError(400, 'Could not load input image. Cause: send {"image": {"type": "base64", "value": ...}}')
    return await server.fetcher.fetch(value) if kind == "url" else await in_turns(decoding(value))


async def infer(request: Request, dataset: str, version: str) -> Response:
    """Predictions for one picture by the model `dataset/version`."""
    server: Server = request.app.state.server
    with server.seat():
        return await _infer(request, server, dataset, version)


async def _infer(request: Request, server: Server, dataset: str, version: str) -> Response:
    bounds = server.config.limits
    begin = time.monotonic()
    try:
        server.admit(request, given_keys(request), "infer")
    except RequestError as error:
        if error.status != 403:
            raise
        return json_response({"message": error.message, "Message": error.message}, 403)  # as the hosted API spells it
    query = read_query(request.query_params)
    name = f"{dataset}/{version}"
    await server.registry.search(name)  # an unknown model is told before the picture comes
    data = await picture_of(request, server)  # however long that takes: the clock and the model are not held by it
    deadline = time.monotonic() + float(bounds.deadline)
    async with server.registry.use(name, float(bounds.deadline)) as held:
        if query.best and held.model.task == "keypoints":
            raise RequestError(422, "confidence: keypoint models have no `best` threshold")
        side = enough(held, drawn=query.format != "json")
        with places(held):
            picture, decode_s = await server.pictures.read(data, side, upright=query.oriented)
        chosen = limits(
            held,
            wanted(query.confidence, query.overlap, None, query.classes, query.max_detections, None, query.masks),
        )
        outcomes = await predict(held, [picture], chosen, deadline, decode_s)
    shown, outcome = query.shown, outcomes[0]
    if query.format == "image" and isinstance(outcome, Result):
        drawn = await asyncio.to_thread(jpeg, picture, outcome.predictions, shown.stroke, shown.labels)
        return Response(drawn, media_type="image/jpeg")
    (body,) = await answers(outcomes, [picture], shown, str(uuid4()), time.monotonic() - begin)
    return json_response(body)


@router.get("/start/{dataset}/{version}", summary="Load a model")
async def start(request: Request, dataset: str, version: str) -> Response:
    """For old clients that load a model before they ask it."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    async with server.registry.use(f"{dataset}/{version}", float(server.config.limits.deadline)):
        return json_response({"status": 200, "message": "model is loaded"})


@router.get("/clear_cache", summary="Nothing to clear")
async def clear_cache() -> Response:
    """For old clients."""
    return json_response("ok")


router.add_api_route("/{dataset}/{version}", infer, methods=["GET", "POST"], summary="Predictions for one picture")
