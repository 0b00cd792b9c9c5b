"""Exchanges and answers as plain values, and what a status means. Nothing here reads, writes or waits."""

import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from vidette.client.errors import HTTPCallErrorError, HTTPClientError, HTTPServerConnectionError
from vidette.remote.requests import PASSING, Request, hide
from vidette.urls import redact

T = TypeVar("T")

ATTEMPTS = 3
LONGEST_PAUSE = 5.0
"""Seconds; a server that wants to be left alone for longer is asked again all the same, and refuses all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; the names of `headers` are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises HTTPClientError where it is no JSON."""
        import orjson

        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:  # NaN, which Python's own module writes and reads
            pass
        try:
            return json.loads(self.content)
        except ValueError:
            kind = self.headers.get("content-type", "nothing named")
            raise HTTPClientError(f"the server answered {self.status} with {kind} instead of JSON") from None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Requests to send, `concurrency` at a time; the answers come back in order, all of them good."""

    requests: Sequence[Request]
    retries: bool
    concurrency: int

    @property
    def one_by_one(self) -> bool:
        """Whether there is nothing to send beside each other."""
        return self.concurrency <= 1 or len(self.requests) <= 1


@dataclass(frozen=True, slots=True)
class Work:
    """A call that reads files or computes for long; its value comes back."""

    call: Callable[[], Any]


Plan: TypeAlias = Generator[Exchange | Work, Any, T]
"""A call to a server: yields what is to be done, receives what came of it, returns the result."""


def exchange(requests: Sequence[Request], *, retries: bool = False, concurrency: int = 1) -> Plan[list[Answer]]:
    """Send requests and take their answers."""
    answers: list[Answer] = yield Exchange(requests, retries, concurrency)
    return answers


def ask(request: Request, *, retries: bool = False) -> Plan[dict[str, Any]]:
    """Send one request and take the JSON object of its answer."""
    (answer,) = yield from exchange([request], retries=retries)
    told = answer.json()
    if not isinstance(told, dict):
        raise HTTPClientError(f"the server answered a {type(told).__name__} instead of a JSON object")
    return told


def work(call: Callable[[], T]) -> Plan[T]:
    """Have `call` done where it holds nobody up."""
    done: T = yield Work(call)
    return done


def pause(outcome: Answer | HTTPClientError, attempt: int) -> float | None:
    """Seconds until the next attempt after the `attempt`-th (from 1) came out so; None if there shall be none.

    The pause is random, so that clients that were refused together do not come back together.
    """
    if attempt >= ATTEMPTS:
        return None
    if isinstance(outcome, HTTPServerConnectionError):
        return random.random()
    if isinstance(outcome, HTTPClientError) or outcome.status not in PASSING:
        return None
    wanted = outcome.headers.get("retry-after", "")
    return min(max(random.random(), float(wanted) if wanted.isdecimal() else 0.0), LONGEST_PAUSE)


def settled(request: Request, outcome: Answer | HTTPClientError) -> Answer:
    """The answer if it is a good one; raises HTTPCallErrorError or the error that came instead."""
    if isinstance(outcome, HTTPClientError):
        raise outcome
    if outcome.status < 400:
        return outcome
    address = redact(request.url).partition("?")[0]
    message = _message(outcome)
    raise HTTPCallErrorError(
        hide(f"{outcome.status} {outcome.reason} for {address}", request.secrets),
        outcome.status,
        None if message is None else hide(message, request.secrets),
    )


def _message(answer: Answer) -> str | None:
    """What the server says is wrong: `message`, `Message` or `detail` of its JSON, else its text."""
    text = answer.content.decode("utf-8", "replace").strip()
    if "application/json" not in answer.headers.get("content-type", ""):
        return text or answer.reason or None
    try:
        told = json.loads(text)
    except ValueError:
        return text or answer.reason or None
    if not isinstance(told, dict):
        return text
    said = told.get("message") or told.get("Message") or told.get("detail")
    message = said if isinstance(said, str) else json.dumps(said) if said else answer.reason or None
    more = told.get("inner_error_message")
    return f"{message}. More details: {more}" if more else message
