"""`POST /`, which two APIs share: Ultralytics HUB's prediction, and the key check of the `roboflow` package."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette.serve.dialects import ultralytics
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.dialects.roboflow_platform import WORKSPACE
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.forms import is_form
from vidette.serve.server import Server

router = APIRouter(tags=["Ultralytics HUB"])


@router.post("/", summary="Predictions for a picture or video; also the key check of Roboflow's package")
async def root(request: Request) -> Response:
    """A form is a prediction; an empty body with `api_key` asks whether the key is right."""
    if is_form(request):
        return await ultralytics.answer(request, None)
    if "api_key" in request.query_params:
        server: Server = request.app.state.server
        server.admit(request, given_keys(request), "infer")
        return json_response({"workspace": WORKSPACE, "welcome": "Vidette"})
    raise RequestError(400, "send a multipart/form-data form with the picture in its part `file`")
