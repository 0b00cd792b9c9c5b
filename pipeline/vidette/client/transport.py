"""Carries out plans over HTTP, blocking or on an event loop. Connections are kept for the next call."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache, update_wrapper
from inspect import signature
from itertools import count
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, get_args

from vidette.client.errors import HTTPClientError, HTTPServerConnectionError
from vidette.client.wire import Answer, Exchange, Plan, Work, pause, settled
from vidette.remote.requests import Request, hide

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    import httpx

P = ParamSpec("P")
T = TypeVar("T")
_C = TypeVar("_C", bound="Connected")

DEFAULT_TIMEOUT = 120.0
"""Seconds that an answer may take; a server may have to load the model first."""
_CONNECT_TIMEOUT = 10.0
_KEPT_IDLE = 4.0
"""Seconds. Servers close what is idle, uvicorn after 5: who closes first never sends into a closing connection."""


class Transport:
    """Sends requests. Threads may share it; on event loops it keeps one set of connections per loop."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._async_client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, plan: Plan[T]) -> T:
        """Carry out a plan and return its result; raises what the plan raises, and HTTPClientError."""
        outcome = None
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = effect.call() if isinstance(effect, Work) else self._exchange(effect)

    async def run_async(self, plan: Plan[T]) -> T:
        """The same; the event loop goes on meanwhile, also while pictures are encoded and large files are read."""
        outcome = None
        while True:
            try:
                effect = plan.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(effect, Work):
                outcome = await asyncio.to_thread(effect.call)
            else:
                outcome = await self._exchange_async(effect)

    def close(self) -> None:
        """Close the connections of blocking calls; the next call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client, self._async_client = self._async_client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _exchange(self, effect: Exchange) -> list[Answer]:
        if effect.one_by_one:
            return [self._send(request, effect.retries) for request in effect.requests]
        with ThreadPoolExecutor(min(effect.concurrency, len(effect.requests)), "vidette-client") as threads:
            sending = [threads.submit(self._send, request, effect.retries) for request in effect.requests]
            try:
                return [each.result() for each in sending]
            except BaseException:  # a failed request, and Ctrl-C: what has not begun is not sent
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    async def _exchange_async(self, effect: Exchange) -> list[Answer]:
        if effect.one_by_one:  # a task for each costs more than it seems
            return [await self._send_async(request, effect.retries) for request in effect.requests]
        places = asyncio.Semaphore(effect.concurrency)

        async def send(request: Request) -> Answer:
            async with places:
                return await self._send_async(request, effect.retries)

        sending = [asyncio.ensure_future(send(request)) for request in effect.requests]
        try:
            return await asyncio.gather(*sending)
        except BaseException:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            raise

    def _send(self, request: Request, retries: bool) -> Answer:
        import httpx

        client = self._blocking()
        for attempt in count(1):
            outcome: Answer | HTTPClientError
            try:
                outcome = _answer(client.request(**request.arguments()))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                outcome = self._failure(request, error)
            wait = pause(outcome, attempt) if retries else None
            if wait is None:
                break
            time.sleep(wait)
        return settled(request, outcome)

    async def _send_async(self, request: Request, retries: bool) -> Answer:
        import httpx

        client = self._unblocking()
        for attempt in count(1):
            outcome: Answer | HTTPClientError
            try:
                outcome = _answer(await client.request(**request.arguments()))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                outcome = self._failure(request, error)
            wait = pause(outcome, attempt) if retries else None
            if wait is None:
                break
            await asyncio.sleep(wait)
        return settled(request, outcome)

    def _failure(self, request: Request, error: Exception) -> HTTPClientError:
        """What a failure of httpx is to the caller; built, not raised, because it may be tried again."""
        import httpx

        from vidette.urls import redact

        address = redact(request.url).partition("?")[0]
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return HTTPClientError(hide(f"{address}: no answer within {self._timeout:g} s", request.secrets))
        reason = hide(f"{address}: {error or type(error).__name__}", request.secrets)
        if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol):
            return HTTPServerConnectionError(f"no connection to the server: {reason}")
        return HTTPClientError(f"the request could not be sent: {reason}")

    def _blocking(self) -> "httpx.Client":
        with self._lock:
            if self._client is None:
                import httpx

                self._client = httpx.Client(**self._settings())
            return self._client

    def _unblocking(self) -> "httpx.AsyncClient":
        loop = asyncio.get_running_loop()
        if self._async_client is None or self._loop is not loop:  # connections die with the loop they belong to
            import httpx

            self._async_client, self._loop = httpx.AsyncClient(**self._settings()), loop
        return self._async_client

    def _settings(self) -> dict[str, Any]:
        import httpx

        from vidette import __version__

        return {
            "timeout": httpx.Timeout(self._timeout, connect=min(_CONNECT_TIMEOUT, self._timeout)),
            "limits": httpx.Limits(max_connections=None, keepalive_expiry=_KEPT_IDLE),
            "follow_redirects": True,
            "verify": _authorities(),
            "headers": {"user-agent": f"vidette/{__version__}"},
        }


class Connected:
    """A client with connections of its own: `close()` ends them, and so does the end of a `with` block."""

    _transport: Transport

    def close(self) -> None:
        """Close the connections of blocking calls; the next call opens new ones."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._transport.aclose()

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    async def __aenter__(self: _C) -> _C:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.aclose()


def twins(
    plan: Callable[Concatenate[Any, P], Plan[T]],
) -> tuple[Callable[Concatenate[Connected, P], T], Callable[Concatenate[Connected, P], Coroutine[Any, Any, T]]]:
    """A call as a method that blocks and as one that is awaited, both with the arguments and the text of the plan."""

    def blocking(self: Connected, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._transport.run(plan(self, *args, **kwargs))

    async def awaited(self: Connected, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._transport.run_async(plan(self, *args, **kwargs))

    shown = signature(plan)
    for method, suffix in ((blocking, ""), (awaited, "_async")):
        update_wrapper(method, plan)
        vars(method)["__signature__"] = shown.replace(return_annotation=get_args(shown.return_annotation)[2])
        method.__name__ += suffix
        method.__qualname__ += suffix
    return blocking, awaited


@cache
def _authorities() -> "ssl.SSLContext":
    """Who is trusted to sign certificates; reading them takes 25 ms, which each client would spend again."""
    import httpx

    return httpx.create_ssl_context()


def _answer(response: "httpx.Response") -> Answer:
    return Answer(response.status_code, response.reason_phrase, response.headers, response.content)
