"""Multipart forms of requests, read within bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from vidette.serve.bodies import bounded
from vidette.serve.errors import RequestError
from vidette.server_settings import LimitsConfig

_TRUE = ("true", "1", "on", "yes", "t", "y")
_FALSE = ("false", "0", "off", "no", "f", "n")


def flag(text: str) -> bool | None:
    """A switch as text, in any spelling that clients have; None when it is none."""
    lower = text.lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def is_form(request: Request) -> bool:
    """Whether the body says that it is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


@asynccontextmanager
async def read_form(request: Request, bounds: LimitsConfig, most: float) -> AsyncIterator[FormData]:
    """The form's fields and files, while it is open.

    Raises RequestError: 400 unreadable, 408 too slow, 413 larger than `most` bytes.
    """
    if "boundary=" not in request.headers.get("content-type", ""):
        raise RequestError(
            400, "Content-Type: multipart/form-data lacks its boundary: let your HTTP library set this header itself"
        )
    try:
        with bounded(request, most, float(bounds.slow)):
            form = await request.form(max_files=bounds.parts, max_fields=bounds.parts, max_part_size=int(most))
    except (MultiPartException, HTTPException) as error:
        raise RequestError(400, f"the form cannot be read: {getattr(error, 'detail', error)}") from None
    try:
        yield form
    finally:
        await form.close()
