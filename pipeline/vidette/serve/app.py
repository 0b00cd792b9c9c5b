"""The routes of all dialects in one application."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

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
        app.include_router(router)
    openapi.install(app)
    return Edge(app, server)
