"""Bodies of requests, read within bounds."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from vidette.serve.errors import RequestError

_RATE = 1000.0
"""Bytes per second below which a client only keeps a connection busy."""


@contextmanager
def bounded(request: Request, most: float, slow: float) -> Iterator[None]:
    """While a body is read: RequestError 413 beyond `most` bytes, 408 when nothing comes for `slow` seconds, or less
    than _RATE in the long run."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    receive = request._receive
    size = 0
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def counted() -> Message:
        nonlocal size
        async with asyncio.timeout_at(min(loop.time() + slow, begin + slow + size / _RATE)):
            message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most)
        return message

    request._receive = counted
    try:
        yield
    except TimeoutError:
        raise RequestError(408, f"the body came too slowly: {size} bytes", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError(400, "the connection was closed before the whole body came") from None
    finally:
        request._receive = receive


async def read_body(request: Request, most: float, slow: float) -> bytes:
    """The whole body. Raises RequestError: see `bounded`."""
    with bounded(request, most, slow):
        body = io.BytesIO()  # hands its bytes over without copying them
        async for chunk in request.stream():
            body.write(chunk)
    return body.getvalue()


def _too_large(most: float) -> RequestError:
    return RequestError(413, f"the body is larger than the {most / 1e6:g} MB that this server takes")
