"""Health, readiness, what the server is, and its streams."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette import __version__
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.metrics import CONTENT_TYPE
from vidette.serve.server import Server
from vidette.serve.streams import Action, actions, tell

router = APIRouter(tags=["operations"])

_PAGE = Path(__file__).parent / "page" / "index.html"
_DOCS = _PAGE.with_name("docs.html")


@router.get("/", summary="A page to look at: what is loaded, a try-out, lines to copy", include_in_schema=False)
async def page() -> Response:
    """Nothing of it is loaded from elsewhere."""
    return Response(_PAGE.read_bytes(), media_type="text/html; charset=utf-8")


@router.get("/docs", summary="The API, to read", include_in_schema=False)
async def docs() -> Response:
    """What openapi.json says; nothing of it is loaded from elsewhere."""
    return Response(_DOCS.read_bytes(), media_type="text/html; charset=utf-8")


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Response:
    """200 as long as it answers at all."""
    return json_response({"status": "healthy"})


@router.get("/readiness", summary="Whether models are loaded and warm")
async def readiness(request: Request) -> Response:
    """503 until everything that is to be loaded was tried, and while the server drains. `failed` are models that could
    not be loaded, `silent` those whose server did not answer when it was asked last; the log says why."""
    server: Server = request.app.state.server
    ready = server.ready and not server.draining
    body: dict[str, Any] = {"status": "ready" if ready else "not ready"}
    failed = [id for id in server.failed if server.registry.held[id].lane is None]
    silent = server.registry.silent()
    body |= {"failed": failed} if failed else {}
    return json_response(body | ({"silent": silent} if silent else {}), 200 if ready else 503)


@router.get("/metrics", summary="Numbers for Prometheus")
async def metrics(request: Request) -> Response:
    """Text format 0.0.4."""
    server: Server = request.app.state.server
    return Response(server.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/info", summary="Name, version and id of this server")
async def info(request: Request) -> Response:
    """As clients of Roboflow's inference server expect it."""
    server: Server = request.app.state.server
    return json_response({"name": "Vidette", "version": __version__, "uuid": server.id})


@router.get("/streams", summary="The cameras and what became of their frames")
async def streams(request: Request) -> Response:
    """Needs a key with the scope `stream`, where keys are configured."""
    server: Server = request.app.state.server
    server.admit(request, given_keys(request), "stream")
    return json_response({"streams": server.streams.told()})


@router.get("/streams/{id:path}", summary="One camera and what became of its frames")
async def stream(request: Request, id: str) -> Response:
    """Needs a key with the scope `stream`, where keys are configured."""
    server: Server = request.app.state.server
    server.admit(request, given_keys(request), "stream")
    return json_response(tell(server.streams.find(id)))


@router.post("/streams/{id:path}/stop", summary="Stop a camera; its files stay open")
async def stop(request: Request, id: str) -> Response:
    """Frames that are decoded already come out. Answered within two seconds, also when the camera hangs: `reason` says
    so then. Needs the scope `stream`, where keys are configured; has no body."""
    return await _act(request, id, "stop")


@router.post("/streams/{id:path}/start", summary="Start a camera that is stopped, has ended or failed")
async def start(request: Request, id: str) -> Response:
    """Its source is opened anew, as the site file names it, and a file is read from its beginning: records go on with
    the next `epoch`. 409 while the camera still hangs. Needs the scope `stream`, where keys are configured; has no
    body."""
    return await _act(request, id, "start")


@router.post("/streams/{id:path}/restart", summary="Stop a camera if it runs, and start it")
async def restart(request: Request, id: str) -> Response:
    """409 when the camera hangs: it is stopped then. Needs the scope `stream`, where keys are configured; has no
    body."""
    return await _act(request, id, "restart")


@router.post("/streams/{id:path}", include_in_schema=False)
async def no_action(request: Request, id: str) -> Response:
    """Says which actions there are; the hosted API would take a path of two parts for a model's."""
    server: Server = request.app.state.server
    server.admit(request, given_keys(request), "stream")
    found = server.streams.find(id)
    raise RequestError(405, f"this does not say what to do; {actions(found.request.id)}", {"Allow": "GET"})


async def _act(request: Request, id: str, action: Action) -> Response:
    server: Server = request.app.state.server
    caller = server.admit(request, given_keys(request), "stream")
    return json_response(await server.streams.act(id, action, caller.name))
