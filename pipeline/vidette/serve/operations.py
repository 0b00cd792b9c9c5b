"""Health, readiness and what the server is."""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette import __version__
from vidette.serve.edge import json_response
from vidette.serve.metrics import CONTENT_TYPE
from vidette.serve.server import Server

router = APIRouter(tags=["operations"])

_PAGE = Path(__file__).parent / "page" / "index.html"


@router.get("/", summary="A page to look at: what is loaded, a try-out, lines to copy", include_in_schema=False)
async def page() -> Response:
    """Nothing of it is loaded from elsewhere."""
    return Response(_PAGE.read_bytes(), media_type="text/html; charset=utf-8")


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Response:
    """200 as long as it answers at all."""
    return json_response({"status": "healthy"})


@router.get("/readiness", summary="Whether models are loaded and warm")
async def readiness(request: Request) -> Response:
    """503 until everything that is to be loaded is, and while the server drains."""
    server: Server = request.app.state.server
    ready = server.ready and not server.draining
    return json_response({"status": "ready" if ready else "not ready"}, 200 if ready else 503)


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
