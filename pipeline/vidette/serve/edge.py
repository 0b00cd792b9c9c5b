"""What every request passes: path clean-up, request id, time, CORS, and errors as JSON."""

import asyncio
import logging
import re
import time
import traceback
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from vidette.serve.errors import RequestError, busy
from vidette.serve.server import Server

log = logging.getLogger("vidette.serve")
access = logging.getLogger("vidette.access")
"""One line per request: client, name of its key, method, path without query, status (499: it left), time, id."""

_SAFE_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")
_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
_WATCHING = ("/healthz", "/readiness", "/metrics", "/info")


class Edge:
    """The outermost ASGI layer."""

    def __init__(self, app: FastAPI, server: Server) -> None:
        self.api = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        begin = time.monotonic()
        server, metrics = self._server, self._server.metrics
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid4().hex.encode()
        method, path = scope["method"], scope["path"]
        scope = {**scope, "state": {"request_id": request_id.decode()}}
        # `//infer/...` comes from clients whose URL ends with a slash; a redirect would lose the body
        if "//" in path or path.endswith("/"):
            scope["path"] = path = "/" + "/".join(part for part in path.split("/") if part)
        if method == "HEAD":  # as GET; uvicorn, whose scope says HEAD, leaves the body out
            scope["method"] = "GET"
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = message.setdefault("headers", [])
                out.append((b"x-request-id", request_id))
                out.append((b"x-processing-time", f"{time.monotonic() - begin:.6f}".encode()))
                out += _ALWAYS
                if server.draining:
                    out.append((b"connection", b"close"))
            await send(message)

        connection = _Connection(receive, server)
        server.under_way += 1
        metrics.open.inc()
        try:
            if (refusal := self._refusal(path)) is not None:
                await error_response(refusal)(scope, receive, told)
            else:
                await self.api(scope, connection.receive, told)
        except asyncio.CancelledError:
            if not (connection.gone or server.draining):  # uvicorn ends what is late at the end of a drain
                raise
        except Exception as error:  # noqa: BLE001 - whatever a handler did not foresee; it is answered already
            metrics.unforeseen.inc()
            log.error("request %s: %s %s: %s", request_id.decode(), method, _route(scope), _in_one_line(error))
        finally:
            connection.close()
            server.under_way -= 1
            metrics.open.dec()
            seconds = time.monotonic() - begin
            if status:
                metrics.ended(_route(scope), status, seconds)
            else:
                metrics.gone()
            if access.isEnabledFor(logging.INFO):
                access.info(
                    '%s %s "%s %s" %d %.1f ms %s',
                    (scope.get("client") or ("-",))[0],
                    scope.get("state", {}).get("caller", "-"),
                    method,
                    path.encode("ascii", "backslashreplace").decode()[:200],
                    status or 499,
                    seconds * 1e3,
                    request_id.decode(),
                )

    def _refusal(self, path: str) -> RequestError | None:
        """Why no request is taken now; those who watch the server are answered in any case."""
        server = self._server
        if path in _WATCHING:
            return None
        if server.draining:
            return busy("the server is shutting down", 5)
        if server.under_way > server.config.limits.connections:
            return busy("as many requests are under way as this server takes; try again")
        return None


def _route(scope: Scope) -> str:
    """The pattern of a path, which has no names of clients in it."""
    return str(getattr(scope.get("route"), "path", "other"))


def _in_one_line(error: Exception) -> str:
    """Type and place; a text could have what a client sent in it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.debug("unforeseen", exc_info=error)
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"


class _Connection:
    """Counts what has come of a body. Notices that a client has gone while its answer is being made, and cancels the
    handler: its pictures leave the queue before they cost a run."""

    __slots__ = ("_handler", "_receive", "_server", "_size", "_watch", "gone")

    def __init__(self, receive: Receive, server: Server) -> None:
        self._receive = receive
        self._server = server
        self._size = 0
        self._handler = asyncio.current_task()
        self._watch: asyncio.Task[Message] | None = None
        self.gone = False

    async def receive(self) -> Message:
        """As ASGI's; after the body's end only the disconnect can follow. Raises RequestError 503."""
        if self._watch is not None:
            return await asyncio.shield(self._watch)
        message = await self._receive()
        if message["type"] == "http.request":
            server, size = self._server, len(message.get("body", b""))
            self._size += size
            server.under_way_bytes += size
            if server.under_way_bytes > float(server.config.limits.bodies) and self._size < server.under_way_bytes:
                raise busy("as many bytes are under way as this server takes; try again")
            if not message.get("more_body", False):
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
        self._server.under_way_bytes -= self._size
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
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers=error.headers)  # Allow
        message = str(error.detail)
        name = request.url.path[1:]
        if error.status_code == 404 and request.method in ("GET", "POST") and name and "/" not in name:
            message += f"; the hosted API has two parts: a model `{name[:200]}` is asked as /{name[:200]}/1"
        return error_response(RequestError(error.status_code, message, error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        mistakes = [{key: item[key] for key in ("type", "loc", "msg")} for item in error.errors()]
        first = mistakes[0]
        where = ".".join(str(part) for part in first["loc"])
        return error_response(RequestError(422, f"{where}: {first['msg']}", detail=mistakes))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        # The routes' CORS is further in: without the header a page would not be allowed to read why.
        allowed = {"Access-Control-Allow-Origin": "*"} if "*" in app.state.server.config.cors else {}
        message = f"Internal error. The server's log has it as request {request.state.request_id}"
        return error_response(RequestError(500, message, allowed))
