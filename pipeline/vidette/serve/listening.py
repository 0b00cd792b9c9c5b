"""The socket, TLS, connections that are slow or too many, signals, and an end in order."""

import asyncio
import contextlib
import errno
import functools
import logging
import math
import os
import resource
import signal
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from logging.handlers import WatchedFileHandler
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from vidette.errors import ConfigError, VidetteError
from vidette.serve.app import create_app
from vidette.serve.server import Server
from vidette.server_settings import TlsConfig

log = logging.getLogger("vidette.serve")

_FILES = 256
"""File descriptors beside those of connections: models, cameras, sinks."""
_NO_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
)
_BACKLOG = 2048
"""Connections that may wait to be accepted; the system's own bound is often lower."""


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, with the time since which its client owes something.

    Uvicorn bounds only the time between two requests of a connection. Here a sweep once in a while looks at all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: deque[RequestResponseCycle] = deque()  # requests that are not answered yet
        self.since = self.loop.time()  # when the wait began: for a request's first byte, then for its whole headers
        self.buffered = 0  # bytes of answers that the client has not taken, at the last look
        self.moved = 0.0  # when that number changed

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        """See httptools."""
        super().on_headers_complete()
        self.asked.append(self.cycle)

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self.asked.popleft()
        self.since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio. Uvicorn tells only the last request of a pipeline, and the others write into a closed socket."""
        super().connection_lost(exc)
        self.pipeline.clear()
        for cycle in self.asked:
            cycle.disconnected = True
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """See uvicorn; JSON, as all our answers."""
        body = b'{"message":"this is not HTTP"}'
        self.transport.write(_NO_HTTP % len(body) + body)
        self.transport.close()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return not self.asked

    def sweep(self, now: float, slow: float) -> None:
        """Cut a client that has sent no whole headers, or taken nothing of its answer, for `slow` seconds.

        Bodies have a clock of their own: bodies.py.
        """
        buffered = self.transport.get_write_buffer_size()
        if buffered != self.buffered:
            self.buffered, self.moved = buffered, now
        if buffered:
            if now - self.moved > slow:
                self.transport.abort()
        elif self.idle and now - self.since > slow:
            self.transport.close()


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: uvicorn would end with their default action."""
        yield


class Listener:
    """A server on its address. Raises ConfigError when it cannot be had, or for a certificate that does not work."""

    def __init__(self, server: Server) -> None:
        config = server.config
        self._server = server
        self._slow = float(config.limits.slow)
        self._failure: VidetteError | None = None
        self._draining: asyncio.Task[None] | None = None
        context = None if config.tls is None else tls_context(config.tls)
        _open_access_log(config.access_log)
        self._sockets = _bound(config.host, config.port)
        self.addresses: list[tuple[str, int]] = [one.getsockname()[:2] for one in self._sockets]
        self.port = self.addresses[0][1]
        self.url = f"{'http' if context is None else 'https'}://{_in_url(config.host)}:{self.port}"
        _allow_files(config.limits.connections)
        settings = uvicorn.Config(
            create_app(server),
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=math.ceil(self._slow) + 1,  # the sweep is first
            timeout_graceful_shutdown=1,
        )
        settings.load()
        settings.ssl = context
        self._make_loop = settings.get_loop_factory()
        self._tls = context is not None
        self._web = _Uvicorn(settings)

    def loop_factory(self) -> asyncio.AbstractEventLoop:
        """A loop whose servers cut clients that are slow to begin TLS: the sweep sees connections only after that, and
        uvicorn names no time (asyncio's is a minute)."""
        loop = asyncio.new_event_loop() if self._make_loop is None else self._make_loop()
        if self._tls:
            # Set on the object: uvicorn makes its servers by this method, and its loop may be uvloop's.
            create: Any = loop.create_server
            loop.create_server = functools.partial(create, ssl_handshake_timeout=self._slow)  # type: ignore[method-assign]
        return loop

    async def run(self) -> None:
        """Answer until `stop`, then drain. Raises VidetteError when a camera's model or sink, or every model fails."""
        server = self._server
        await server.start()
        tasks = [asyncio.create_task(self._preload()), asyncio.create_task(self._sweep())]
        try:
            await self._web.serve(self._sockets)
        finally:
            for task in tasks:
                task.cancel()
            await server.stop()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Take no new requests; end when those under way are answered, or at their deadline. In the event loop."""
        self._server.draining = True
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        deadline = time.monotonic() + float(self._server.config.limits.deadline)
        while self._server.under_way and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._web.should_exit = True

    async def _preload(self) -> None:
        try:
            await self._server.preload()
        except VidetteError as error:
            self._failure = error
            self._web.should_exit = True

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        most = self._server.config.limits.connections
        while True:
            await asyncio.sleep(min(0.25, self._slow / 4))
            now = loop.time()
            connections: Any = list(self._web.server_state.connections)
            for connection in connections:
                connection.sweep(now, self._slow)
            if len(connections) > most:  # those that have asked for nothing make room, the longest silent first
                idle = sorted((c for c in connections if c.idle), key=lambda c: c.since)
                for connection in idle[: len(connections) - most]:
                    connection.transport.abort()


def serve(listener: Listener) -> int:
    """Answer until SIGINT or SIGTERM, drain, return the exit code; the second signal ends at once."""
    codes: list[int] = []

    def signalled(number: int) -> None:
        if codes:
            os._exit(codes[0])
        codes.append(128 + number)
        log.info("answering what is under way; once more to end at once")
        listener.stop()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, signalled, number)
        await listener.run()

    # Clients that speak no HTTP, or leave in the middle, are no matter for an operator.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with asyncio.Runner(loop_factory=listener.loop_factory) as runner:
        runner.run(main())
    return codes[0] if codes else 0


def tls_context(config: TlsConfig) -> ssl.SSLContext:
    """For TLS 1.2 and newer. Raises ConfigError that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for field, path in (("certificate", config.certificate), ("key", config.key)):
        try:
            with open(path, "rb") as file:
                text = file.read(1_000_000)
        except OSError as error:
            raise ConfigError(f"server.tls.{field}: {path}: cannot be read: {error.strerror}") from None
        if b"-----BEGIN " not in text:
            raise ConfigError(f"server.tls.{field}: {path}: is no PEM file")
        if field == "key" and b"ENCRYPTED" in text:
            raise ConfigError(f"server.tls.key: {path}: needs a password; store it without one, readable by few")
    try:
        context.load_cert_chain(config.certificate, config.key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"server.tls.key: {config.key}: is not the key of {config.certificate}") from None
        raise ConfigError(
            f"server.tls: {config.certificate} and {config.key} are no certificate and private key ({error.reason})"
        ) from None
    return context


def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets on all addresses that `host` means; they listen, so that nobody else takes the port meanwhile."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"--host {host}: is no address of this machine") from None
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        one = socket.socket(family, kind, protocol)
        sockets.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
            one.bind((address[0], port, *address[2:]))
            one.listen(_BACKLOG)
        except OSError as error:
            for each in sockets:
                each.close()
            raise ConfigError(_why(error, host, port)) from None
        port = one.getsockname()[1]  # a free port is the same on all addresses
    return sockets


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: is in use by another program; choose another one, or 0 for any that is free"
    if error.errno == errno.EACCES:
        return f"--port {port}: ports below 1024 need privileges; choose a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: is no address of this machine"
    return f"--host {host} --port {port}: {error.strerror}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _allow_files(connections: int) -> None:
    """As many open files as there may be connections, where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_access_log(target: str | None) -> None:
    if target is None:
        return
    logger = logging.getLogger("vidette.access")
    try:
        handler = logging.StreamHandler() if target == "-" else WatchedFileHandler(target)
    except OSError as error:
        raise ConfigError(f"server.access_log: {target}: cannot be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
