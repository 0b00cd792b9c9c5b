"""Health, readiness and what the server is."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette import __version__
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.edge import json_response
from vidette.serve.metrics import CONTENT_TYPE
from vidette.serve.server import Server

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
    not be loaded; the log says why."""
    server: Server = request.app.state.server
    ready = server.ready and not server.draining
    body: dict[str, Any] = {"status": "ready" if ready else "not ready"}
    failed = [id for id in server.failed if server.registry.held[id].lane is None]
    return json_response(body | ({"failed": failed} if failed else {}), 200 if ready else 503)


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
    return json_response({"streams": server.streams()})
