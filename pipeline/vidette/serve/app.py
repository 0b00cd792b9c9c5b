"""The routes of all dialects in one application."""

from collections import defaultdict
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from vidette import __version__
from vidette.serve import openapi, operations
from vidette.serve.dialects import reserved, roboflow_hosted, roboflow_platform, roboflow_v1, root, ultralytics
from vidette.serve.edge import Edge, install_error_answers
from vidette.serve.server import Server

ROUTERS = (
    operations.router, root.router, roboflow_v1.router, ultralytics.router, roboflow_platform.router,
    reserved.router, roboflow_hosted.router,
)  # fmt: skip
"""Fixed paths first: the hosted route takes every path of two parts."""


def create_app(server: Server) -> Edge:
    """The application that `server` is asked through; whoever runs it starts and stops the server."""
    app = FastAPI(title="Vidette", version=__version__, docs_url=None, redoc_url=None)  # theirs load from elsewhere
    app.state.server = server
    app.add_middleware(
        CORSMiddleware, allow_origins=server.config.cors, allow_methods=["*"], allow_headers=["*"],
        expose_headers=["X-Request-ID", "X-Processing-Time", "Retry-After", "X-Vidette-Note"],
    )  # fmt: skip
    install_error_answers(app)
    for router in ROUTERS:
        if router is roboflow_hosted.router:
            _refuse_other_methods(app)
        app.include_router(router)
    openapi.install(app)
    return Edge(app, server)


def _refuse_other_methods(app: FastAPI) -> None:
    """Let fixed paths of two parts answer 405 to the method that they do not have: the hosted route has GET and POST,
    and would take them for the name of a model."""
    known: dict[str, set[str]] = defaultdict(set)
    for route in (route for router in ROUTERS for route in router.routes):
        if isinstance(route, APIRoute) and "{" not in route.path and route.path.count("/") == 2:
            known[route.path] |= route.methods or set()
    for path, methods in known.items():
        if others := {"GET", "POST"} - methods:
            app.add_route(path, _refusing(", ".join(sorted(methods))), methods=sorted(others), include_in_schema=False)


def _refusing(methods: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        raise HTTPException(405, headers={"Allow": methods})

    return refuse
