"""Pictures as text: every form of base64 that clients send, and raw bytes that were sent by mistake."""

import binascii
import re
from urllib.parse import unquote_to_bytes

from vidette.serve.errors import RequestError

_DATA_URI = re.compile(rb"\s*data:[^,]{0,200},", re.IGNORECASE)
_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP",
    b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P5 ", b"P6 ",
)  # fmt: skip
"""How picture files begin. HEIF and AVIF have `ftyp` at byte 4."""


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a picture file does."""
    return data.startswith(_MAGIC) or data[4:8] == b"ftyp"


def decode_picture_text(text: bytes) -> bytes:
    """The bytes of a picture that came as base64.

    Taken: line breaks, data URIs of any media type, missing padding, the URL-safe alphabet, percent-encoding, `+` that
    a form turned into spaces, quotes around it, and a picture's own bytes. Raises RequestError 400 for anything else.
    """
    if is_picture(text):
        return text
    if not text.strip():
        raise RequestError(400, "Could not load input image. Cause: the body is empty; send the picture as base64")
    if (prefix := _DATA_URI.match(text[:256])) is not None:
        text = text[prefix.end() :]
    if b"%" in text:
        text = unquote_to_bytes(text)
    text = text.strip(b" \t\r\n\"'").translate(_URL_SAFE, b"\r\n\t")
    # a form that turned `+` into spaces left none; where there are some, spaces only divide
    readings = (b"",) if b"+" in text else (b"+", b"")
    for reading in readings if b" " in text else (b" ",):
        data = _decoded(text.replace(b" ", reading))
        if data is not None and is_picture(data):
            return data
    if data is None:
        raise RequestError(400, "Could not load input image. Cause: the body is not base64")
    return data  # whatever it is, the decoder says so


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _decoded(text: bytes) -> bytes | None:
    text = text.rstrip(b"=")
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
