"""Pictures as text: every form of base64 that clients send, and raw bytes that were sent by mistake."""

import binascii
import io
import re
from collections.abc import Generator
from urllib.parse import unquote_to_bytes

import orjson

from vidette.serve.errors import RequestError
from vidette.serve.turns import PIECE

_DATA_URI = re.compile(rb"\s*data:[^,]{0,200},", re.IGNORECASE)
_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP",
    b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P5 ", b"P6 ",
)  # fmt: skip
"""How picture files begin. HEIF and AVIF have `ftyp` at byte 4."""
_AROUND = b" \t\r\n\"'"
_HEAD = 256
"""Bytes at either end in which what does not belong to the base64 is looked for."""
_SPACE = re.compile(rb" ")
_PLUS = re.compile(rb"\+|%2b|\\u002b", re.IGNORECASE)
_UNFINISHED = re.compile(rb"(?:%[0-9a-f]?|\\(?:u[0-9a-f]{0,3})?)\Z", re.IGNORECASE)
"""The beginning of an escape at the end of a piece; none is longer than `_ESCAPE`."""
_ESCAPE = 6
_PERCENT = PIECE >> 5
"""Bytes of a piece with percent-encoding, which takes so much longer."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_OTHERS = bytes(set(range(256)) - set(_ALPHABET + b"-_= "))


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a picture file does."""
    return data.startswith(_MAGIC) or data[4:8] == b"ftyp"


def decoding(
    text: bytes | str, begin: int = 0, end: int | None = None, *, escaped: bool = False
) -> Generator[None, None, bytes]:
    """The bytes of a picture that came as base64 at `begin` to `end` of a text; for `in_turns`.

    Taken: line breaks, data URIs of any media type, missing padding, the URL-safe alphabet, percent-encoding, `+` that
    a form turned into spaces, quotes around it, and a picture's own bytes. `escaped` text has JSON's escapes in it.
    Raises RequestError 400 for anything else.
    """
    if isinstance(text, str):
        text = yield from _encoded(text)
    end = len(text) if end is None else end
    head = text[begin : min(begin + _HEAD, end)]
    if is_picture(head):
        return text[begin:end]
    if (prefix := _DATA_URI.match(head)) is not None:
        begin += prefix.end()
        head = text[begin : min(begin + _HEAD, end)]
    begin += len(head) - len(head.lstrip(_AROUND))
    tail = text[max(begin, end - _HEAD) : end]
    end -= len(tail) - len(tail.rstrip(_AROUND))
    if begin >= end:
        raise RequestError(400, "Could not load input image. Cause: the body is empty; send the picture as base64")
    # a form that turned `+` into spaces left none; where there are some, spaces only divide
    both = (yield from _has(_SPACE, text, begin, end)) and not (yield from _has(_PLUS, text, begin, end))
    data = None
    for reading in (b"+", b"") if both else (b"",):
        data = yield from _decoded(text, begin, end, reading, escaped)
        if data is not None and is_picture(data):
            return data
    if data is None:
        raise RequestError(400, "Could not load input image. Cause: the body is not base64")
    return data  # whatever it is, the decoder says so


def _encoded(text: str) -> Generator[None, None, bytes]:
    if len(text) <= PIECE:
        return text.encode()
    found = io.BytesIO()
    for at in range(0, len(text), PIECE):
        found.write(text[at : at + PIECE].encode())
        yield
    return found.getvalue()


def _has(wanted: re.Pattern[bytes], text: bytes, begin: int, end: int) -> Generator[None, None, bool]:
    """Whether something no longer than an escape is there; pieces overlap, lest one is missed between two."""
    while wanted.search(text, begin, min(begin + PIECE + _ESCAPE - 1, end)) is None:
        begin += PIECE
        if begin >= end:
            return False
        yield
    return True


def _decoded(text: bytes, begin: int, end: int, space: bytes, escaped: bool) -> Generator[None, None, bytes | None]:
    """None when it is not base64. What is not of the alphabet is passed over, and `=` is the end."""
    found = io.BytesIO()  # hands its bytes over without copying them
    left = b""  # up to three characters: four are three bytes
    while begin < end:
        size = PIECE if text.find(b"%", begin, begin + PIECE) < 0 else _PERCENT
        piece = text[begin : min(begin + size, end)]
        if begin + len(piece) < end and (open := _UNFINISHED.search(piece, len(piece) - _ESCAPE)) is not None:
            piece = piece[: open.start()]
        begin += len(piece)
        try:
            found.write(binascii.a2b_base64(left + piece if left else piece, strict_mode=True))
            left = b""
        except binascii.Error:
            plain = _plain(piece, escaped)
            if plain is None:
                return None
            plain = left + plain.translate(_URL_SAFE, _OTHERS).replace(b" ", space)
            if (pad := plain.find(b"=")) >= 0:
                plain, begin = plain[:pad], end
            whole = len(plain) - len(plain) % 4
            found.write(binascii.a2b_base64(plain[:whole]))
            left = plain[whole:]
        if begin < end:
            yield
    if len(left) == 1:
        return None
    found.write(binascii.a2b_base64(left + b"=" * (-len(left) % 4)))
    return found.getvalue()


def _plain(piece: bytes, escaped: bool) -> bytes | None:
    """Without JSON's escapes and percent-encoding; None when it has escapes that JSON does not."""
    if escaped and b"\\" in piece:
        try:
            piece = orjson.loads(b'"%b"' % piece).encode()
        except orjson.JSONDecodeError:
            return None
    return unquote_to_bytes(piece) if b"%" in piece else piece
