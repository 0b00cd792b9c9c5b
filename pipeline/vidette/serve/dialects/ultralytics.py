"""Ultralytics HUB and Platform: a multipart form with a picture or video, rows as `Results.summary()` has them.

Wire format: https://docs.ultralytics.com/hub/inference-api/ and https://docs.ultralytics.com/platform/.
"""

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response, StreamingResponse

from vidette.serve import videos
from vidette.serve.answering import Wanted, beside, enough, limits, places, predict
from vidette.serve.base64_pictures import decoding
from vidette.serve.dialects import ultralytics_old
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.dialects.ultralytics_answers import Written, dumped, metadata, picture_answer
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.forms import flag, is_form, read_form
from vidette.serve.registry import Held
from vidette.serve.server import Server
from vidette.serve.turns import in_turns

router = APIRouter(tags=["Ultralytics HUB"])

_RANGES = {"conf": (0.01, 1.0), "iou": (0.0, 0.95), "imgsz": (32, 1280), "decimals": (0, 10)}
_WHOLE = ("imgsz", "decimals")
_BITS = ("8", "12", "16")
_HUB_IOU, _PLATFORM_IOU = 0.45, 0.7
_OLD_NAMES = {"conf": "confidence", "imgsz": "size"}


@router.post("/predict", summary="Predictions for a picture or video")
async def predict_form(request: Request) -> Response:
    """The model is the form's `model`, or the only one there is."""
    return await answer(request, None)


@router.post("/api/models/{model:path}/predict", summary="Predictions for a picture or video")
async def predict_model(request: Request, model: str) -> Response:
    """The model is the path's. The Platform, whose path this is, has another default for `iou`."""
    return await answer(request, model, _PLATFORM_IOU)


@router.post("/v1/predict/{model:path}", summary="Predictions for a picture, as HUB answered before 2024")
async def predict_old(request: Request, model: str) -> Response:
    """Fields `image` or `url`, `size`, `confidence`, `iou`."""
    try:
        made = await respond(request, model, old=True)
    except RequestError as error:
        failed = {"success": False, "message": error.message, "data": {}}
        return json_response(failed, error.status, error.headers)
    (image,) = orjson.loads(made.body)["images"]
    height, width = image["shape"]
    data = [ultralytics_old.row(found, width, height) for found in image["results"]]
    return json_response({"success": True, "message": "Inference complete.", "data": data})


async def answer(request: Request, named: str | None, iou: float = _HUB_IOU) -> Response:
    """Answer a form, failures with `error` beside the fields of all other routes; `iou` is for forms without it."""
    try:
        return await respond(request, named, iou)
    except RequestError as failure:
        told = failure.message if failure.detail is None else failure.detail
        fields = {"error": failure.message, "message": failure.message, "detail": told}
        return json_response(fields, failure.status, failure.headers)


async def respond(request: Request, named: str | None, iou: float = _HUB_IOU, *, old: bool = False) -> Response:
    """Answer a form; `named` is the model of the path. `old` refuses videos, and how rows are to be written."""
    server: Server = request.app.state.server
    with server.seat():
        return await _respond(request, server, named, iou, old)


async def _respond(request: Request, server: Server, named: str | None, iou: float, old: bool) -> Response:
    bounds = server.config.limits
    begin = time.monotonic()
    server.admit(request, given_keys(request), "infer")
    if not is_form(request):
        raise RequestError(400, "send a multipart/form-data form with the picture in its part `file`")
    async with read_form(request, bounds, max(float(bounds.body), float(bounds.video))) as form:
        options = {name: _number(form, name) for name in _RANGES}
        written = Written() if old else _written(form, options["decimals"])
        data, filename = await _media(form, server)
        name = _model_name(server, named or _text(form, "model"))
    deadline = time.monotonic() + float(bounds.deadline)  # a slow line is not the model's fault
    async with server.registry.use(name, float(bounds.deadline)) as held:
        wanted = Wanted(
            confidence=0.25 if options["conf"] is None else options["conf"],  # classes: the best five, whatever it is
            iou=iou if options["iou"] is None else options["iou"],
        )
        chosen = limits(held, wanted)
        size = None if options["imgsz"] is None else int(options["imgsz"])
        headers = _size_note(held, size)
        if videos.is_video(data, filename):
            if old:
                raise RequestError(400, "videos are answered by POST / only")
            if len(data) > float(bounds.video):
                raise RequestError(413, f"the video is larger than the {bounds.video} that this server takes")
            return await _video(server, held, chosen, data, size, begin, headers, written)
        with places(held):
            picture, decode_s = await server.pictures.read(data, enough(held, size))
        outcome = (await predict(held, [picture], chosen, deadline, decode_s, size))[0]
        images = [await beside(partial(picture_answer, outcome, written), [outcome])]
    return json_response({"images": images, "metadata": metadata(server, held, 1, begin)}, headers=headers)


async def _video(
    server: Server,
    held: Held,
    chosen: Any,
    data: bytes,
    size: int | None,
    begin: float,
    headers: dict[str, str],
    written: Written,
) -> Response:
    bounds = server.config.limits
    frames = videos.outcomes(data, held, chosen, bounds.video_frames, float(bounds.deadline), size)
    try:
        first = await anext(frames)  # what is no video is a 400, as long as nothing has been sent
    except StopAsyncIteration:
        raise RequestError(400, "Could not read the video: it has no frame") from None

    async def body() -> AsyncIterator[bytes]:
        """Has a seat and the model to its end, whichever that is: the handler returns before the video is answered."""
        count, error = 0, None
        end = time.monotonic() + float(bounds.video_time)
        try:
            with server.seat():
                held.busy += 1
                try:
                    yield b'{"images":[' + await beside(partial(dumped, first, written), [first])
                    count = 1
                    async for outcome in frames:
                        yield b"," + await beside(partial(dumped, outcome, written), [outcome])
                        count += 1
                        if server.draining or time.monotonic() > end:
                            late = f"it took longer than {bounds.video_time}"
                            why = "the server shuts down" if server.draining else late
                            error = f"stopped after {count} frames: {why}"
                            break
                except RequestError as failure:
                    error = failure.message
                finally:
                    held.busy -= 1
        finally:
            await frames.aclose()  # type: ignore[attr-defined]
        told = metadata(server, held, count, begin) | ({"error": error} if error else {})
        yield b'],"metadata":' + orjson.dumps(told) + b"}"

    chunks = body()
    head = await anext(chunks)  # begun here, it ends also when the client goes before anything is sent

    async def sent() -> AsyncIterator[bytes]:
        yield head
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(sent(), media_type="application/json", headers=headers)


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _number(form: FormData, name: str) -> float | None:
    given = _text(form, name) or _text(form, _OLD_NAMES.get(name, name))
    if given is None:
        return None
    low, high = _RANGES[name]
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not low <= value <= high or (name in _WHOLE and value != int(value)):
        kind = "a whole number" if name in _WHOLE else "a number"
        message = f"{name}: {given[:40]!r} is not {kind} from {low} to {high}"
        raise RequestError(422, message)
    return value


def _written(form: FormData, decimals: float | None) -> Written:
    """`normalize` and `decimals`. `bits` is of depth maps, which no model here makes, so it only has to be right."""
    if (bits := _text(form, "bits")) not in (None, *_BITS):
        raise RequestError(422, f"bits: {bits[:40]!r} is none of {', '.join(_BITS)}")
    normalize = flag(given := _text(form, "normalize") or "false")
    if normalize is None:
        raise RequestError(422, f"normalize: {given[:40]!r} is not true or false")
    return Written(normalize) if decimals is None else Written(normalize, int(decimals))


async def _media(form: FormData, server: Server) -> tuple[bytes, str]:
    """The picture or video, and its file name: the part `file` (or `image`), or a URL or base64 as text."""
    for name in ("file", "image", "source", "url"):
        part = form.get(name)
        if isinstance(part, UploadFile):
            return await part.read(), part.filename or ""
        if isinstance(part, str) and part.strip():
            text = part.strip()
            if text.startswith(("http://", "https://")):
                return await server.fetcher.fetch(text), urlsplit(text).path
            return await in_turns(decoding(text)), ""
    raise RequestError(400, "the form has no part `file` with a picture or video")


def _model_name(server: Server, given: str | None) -> str:
    """The id of a model: of the configured HUB ids, of the last part of a HUB URL, or the only one there is."""
    known = server.registry.held
    if given is None:
        if len(known) == 1:
            return next(iter(known))
        raise RequestError(422, f"model: say which; models here: {', '.join(list(known)[:8]) or 'none'}")
    last = urlsplit(given).path.rstrip("/").rpartition("/")[2] if "://" in given else given
    return server.config.hub_models.get(given) or server.config.hub_models.get(last) or last


def _size_note(held: Held, size: int | None) -> dict[str, str]:
    how = held.model.preprocess
    if size is None or not (how.width and how.height):
        return {}
    return {"X-Vidette-Note": f"imgsz is not honoured: this model's input is fixed at {how.width}x{how.height}"}
