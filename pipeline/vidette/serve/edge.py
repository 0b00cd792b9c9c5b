"""What every request passes: path clean-up, request id, time, CORS, and errors as JSON."""

import asyncio
import logging
import time
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidette.serve.errors import RequestError
from vidette.serve.server import Server

access = logging.getLogger("vidette.access")
"""One line per request: client, name of its key, method, path without query, status (499: it left), time, id."""


class Edge:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # `//infer/...` comes from clients whose URL ends with a slash; a redirect would lose the body
        if "//" in scope["path"]:
            scope["path"] = "/" + "/".join(part for part in scope["path"].split("/") if part)
        begin = time.monotonic()
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given[:128] if given else uuid4().hex.encode()

        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request_id))
                headers.append((b"x-processing-time", f"{time.monotonic() - begin:.6f}".encode()))
                if self._server.draining:
                    headers.append((b"connection", b"close"))
            await send(message)

        connection = _Connection(receive)
        metrics = self._server.metrics
        metrics.open.inc()
        try:
            await self._app(scope, connection.receive, told)
        except asyncio.CancelledError:
            if not connection.gone:
                raise
        finally:
            connection.close()
            metrics.open.dec()
            seconds = time.monotonic() - begin
            if status:
                route = scope.get("route")
                metrics.ended(getattr(route, "path", "other"), status, seconds)
            else:
                metrics.gone()
            if access.isEnabledFor(logging.INFO):
                caller = scope.get("state", {}).get("caller", "-")
                client = (scope.get("client") or ("-",))[0]
                path = scope["path"].encode("ascii", "backslashreplace").decode()[:200]
                line = (
                    client,
                    caller,
                    scope["method"],
                    path,
                    status or 499,
                    seconds * 1e3,
                    request_id.decode("latin-1"),
                )
                access.info('%s %s "%s %s" %d %.1f ms %s', *line)


class _Connection:
    """Notices that a client has gone while its answer is being made, and cancels the handler: its pictures leave the
    queue before they cost a run."""

    __slots__ = ("_handler", "_receive", "_watch", "gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._handler = asyncio.current_task()
        self._watch: asyncio.Task[Message] | None = None
        self.gone = False

    async def receive(self) -> Message:
        """As ASGI's; after the body's end only the disconnect can follow."""
        if self._watch is not None:
            return await asyncio.shield(self._watch)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._watch = asyncio.create_task(self._disconnect())
        return message

    async def _disconnect(self) -> Message:
        message = await self._receive()
        if self._handler is not None:
            self.gone = True
            self._handler.cancel()
        return message

    def close(self) -> None:
        """The answer is out: nobody is cancelled any more."""
        self._handler = None
        if self._watch is not None:
            self._watch.cancel()


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Compact JSON by orjson."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")


def error_response(error: RequestError) -> Response:
    """`message` for Roboflow's clients, `detail` for FastAPI's and Ultralytics'."""
    detail = error.message if error.detail is None else error.detail
    return json_response({"message": error.message, "detail": detail}, error.status, error.headers)


def install_error_answers(app: FastAPI) -> None:
    """Every failure is a JSON object with `message`."""

    @app.exception_handler(RequestError)
    async def request_error(request: Request, error: RequestError) -> Response:
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return error_response(RequestError(error.status_code, str(error.detail), error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        mistakes = [{key: item[key] for key in ("type", "loc", "msg")} for item in error.errors()]
        first = mistakes[0]
        where = ".".join(str(part) for part in first["loc"])
        return error_response(RequestError(422, f"{where}: {first['msg']}", detail=mistakes))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return error_response(RequestError(500, "Internal error."))
