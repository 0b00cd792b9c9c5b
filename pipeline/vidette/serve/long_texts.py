"""Large JSON bodies without their pictures.

A parser would hold the event loop for as long as the whole body takes it. So the long strings, which are pictures as
base64, are left where they are, and the parser gets the little that is around them.
"""

import secrets
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from vidette.serve.errors import RequestError

_LARGE = 1 << 20
"""Bytes of a body from which on this is worth while; smaller ones are parsed in a few milliseconds."""
_LONG = 1 << 12
"""Characters of a string from which on it is cut out."""
_MOST = 4 << 20
"""Bytes of a large body that may be anything else."""
_STRIDE = 1 << 22
"""Bytes that are looked through at once, for a quote."""
_STRINGS = 1000
"""Strings, or escaped quotes, that are passed over at once."""
_ESCAPED = 8 * _STRINGS
"""Escaped quotes that a large body may have: no picture has any, and each is a step of its own."""


@dataclass(frozen=True, slots=True)
class LongText:
    """A string of a body: where it begins and ends there, between its quotes and with JSON's escapes in it."""

    body: bytes
    begin: int
    end: int


class Cut(BaseModel):
    """What stands in a body in place of the long string of that number: an object, so that it is refused wherever
    something else than a picture is expected. The number is drawn for each string, so that no client can write it."""

    model_config = ConfigDict(extra="forbid")

    cut: int


def without(body: bytes) -> Generator[None, None, tuple[bytes, dict[int, LongText]]]:
    """The body with `{"cut": NUMBER}` in place of each long string, and those strings by number; for `in_turns`.

    A body that is not large stays as it is. Raises RequestError 413 when it is not the strings that make it large, or
    when they are full of quotes.
    """
    if len(body) < _LARGE:
        return body, {}
    parts: list[bytes] = []
    texts: dict[int, LongText] = {}
    done = seen = escaped = taken = 0
    begin = yield from _quote(body, 0)
    while begin >= 0 and begin - taken <= _MOST:
        begin += 1
        end = yield from _quote(body, begin)
        while end >= 0 and _is_escaped(body, begin, end):
            escaped += 1
            if escaped > _ESCAPED:
                raise RequestError(413, f"the body has more than {_ESCAPED} escaped quotes; pictures have none")
            if not escaped % _STRINGS:
                yield
            end = yield from _quote(body, end + 1)
        if end < 0:
            break  # not JSON: the parser says so
        if end - begin >= _LONG:
            number = secrets.randbits(62)
            parts += (body[done : begin - 1], b'{"cut":%d}' % number)
            texts[number] = LongText(body, begin, end)
            done = end + 1
            taken += end - begin
        seen += 1
        if not seen % _STRINGS:
            yield
        begin = yield from _quote(body, end + 1)
    if len(body) - taken > _MOST:
        raise RequestError(413, f"the body has more than {_MOST >> 20} MB beside its pictures")
    return b"".join([*parts, body[done:]]), texts


def restored(value: Any, texts: dict[int, LongText]) -> LongText | None:
    """The long string for which a parsed value stands; None for any other value."""
    number = value.cut if isinstance(value, Cut) else value.get("cut") if isinstance(value, dict) else None
    return texts.get(number) if isinstance(number, int) else None


def _quote(body: bytes, at: int) -> Generator[None, None, int]:
    """Where the next quote is, -1 if nowhere."""
    while (found := body.find(b'"', at, at + _STRIDE)) < 0 and at + _STRIDE < len(body):
        at += _STRIDE
        yield
    return found


def _is_escaped(body: bytes, begin: int, quote: int) -> bool:
    """Whether a quote belongs to the string: an odd number of backslashes is before it. No base64 has many."""
    before = body[max(begin, quote - 64) : quote]
    return bool((len(before) - len(before.rstrip(b"\\"))) % 2)
