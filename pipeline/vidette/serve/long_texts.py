"""Large JSON bodies without their pictures.

A parser would hold the event loop for as long as the whole body takes it. So the long strings, which are pictures as
base64, are left where they are, and the parser gets the little that is around them.
"""

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
"""Strings that are passed over at once."""


@dataclass(frozen=True, slots=True)
class LongText:
    """A string of a body: where it begins and ends there, between its quotes and with JSON's escapes in it."""

    body: bytes
    begin: int
    end: int


class Cut(BaseModel):
    """What stands in a body in place of the long string of that number: an object, so that it is refused wherever
    something else than a picture is expected."""

    model_config = ConfigDict(extra="forbid")

    cut: int


def without(body: bytes) -> Generator[None, None, tuple[bytes, list[LongText]]]:
    """The body with `{"cut": NUMBER}` in place of each long string, and those strings; for `in_turns`.

    A body that is not large stays as it is. Raises RequestError 413 when it is not the strings that make it large.
    """
    if len(body) < _LARGE:
        return body, []
    parts: list[bytes] = []
    texts: list[LongText] = []
    done = seen = taken = 0
    begin = yield from _quote(body, 0)
    while begin >= 0:
        begin += 1
        end = yield from _quote(body, begin)
        while end >= 0 and _is_escaped(body, begin, end):
            end = yield from _quote(body, end + 1)
        if end < 0:
            break  # not JSON: the parser says so
        if end - begin >= _LONG:
            parts += (body[done : begin - 1], b'{"cut":%d}' % len(texts))
            texts.append(LongText(body, begin, end))
            done = end + 1
            taken += end - begin
        elif end - taken > _MOST:
            break
        seen += 1
        if not seen % _STRINGS:
            yield
        begin = yield from _quote(body, end + 1)
    if len(body) - taken > _MOST:
        raise RequestError(413, f"the body has more than {_MOST >> 20} MB beside its pictures")
    return b"".join([*parts, body[done:]]), texts


def restored(value: Any, texts: list[LongText]) -> LongText | None:
    """The long string for which a parsed value stands; None for any other value."""
    number = value.cut if isinstance(value, Cut) else value.get("cut") if isinstance(value, dict) else None
    return texts[number] if isinstance(number, int) and 0 <= number < len(texts) else None


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
