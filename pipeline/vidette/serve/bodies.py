"""Bodies of requests, read within bounds."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from vidette.serve.errors import RequestError


async def read_body(request: Request, most: float, slow: float) -> bytes:
    """The whole body. Raises RequestError 413 beyond `most` bytes, 408 when nothing comes for `slow` seconds."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(slow):
                chunk = await anext(stream, None)
            if chunk is None:
                return b"".join(chunks)
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            chunks.append(chunk)
    except TimeoutError:
        raise RequestError(408, f"nothing of the body came for {slow:g} s", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError(400, "the connection was closed before the whole body came") from None


def _too_large(most: float) -> RequestError:
    return RequestError(413, f"the body is larger than the {most / 1e6:g} MB that this server takes")
