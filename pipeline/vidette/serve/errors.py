"""Failures of requests, as status and one line; dialects dress them in their own bodies."""

from collections.abc import Mapping
from typing import Any


class RequestError(Exception):
    """A request cannot be answered.

    status    HTTP status: 4xx for what the client can mend, 503 and 504 only for what passes by itself
    message   one line for the client: what is wrong and what to do, without secrets
    headers   for example Retry-After
    detail    a list of validation mistakes, as FastAPI's 422 bodies have them
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, detail: Any | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.detail = detail


def busy(message: str, seconds: int = 1) -> RequestError:
    """503: try again in so many seconds."""
    return RequestError(503, message, {"Retry-After": str(seconds)})
