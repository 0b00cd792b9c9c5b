"""The wire format of protobuf, as far as ONNX files need it: reading without copying, and writing.

https://protobuf.dev/programming-guides/encoding/ (varints, tags, wire types).
"""

import mmap
from collections.abc import Iterator
from typing import TypeAlias

Data: TypeAlias = bytes | mmap.mmap
Field: TypeAlias = tuple[int, int, int, int]  # number, start and end of the value, start of the whole field
Span: TypeAlias = tuple[int, int]


class MalformedError(Exception):
    """Not a protobuf message, or `needs` bytes of one that is cut short."""

    def __init__(self, needs: int = 0) -> None:
        super().__init__()
        self.needs = needs


def varint(value: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, payload: bytes) -> bytes:
    """A length-prefixed field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def read_varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends. Raises MalformedError."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise MalformedError(needs=at + 1 if at >= end else 0)


def fields_of(data: Data, span: Span) -> Iterator[Field]:
    """The fields of one message; a varint's span is that of its bytes. Raises MalformedError."""
    at, end = span
    while at < end:
        whole = at
        tag, at = read_varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            start = at
            _, at = read_varint(data, at, end)
        elif wire == 2:
            size, start = read_varint(data, at, end)
            at = start + size
        elif wire in (1, 5):  # eight and four bytes
            start = at
            at += 8 if wire == 1 else 4
        else:
            raise MalformedError
        if at > end:
            # Beyond the end of the file it is cut short, beyond the end of its own message it is nonsense.
            raise MalformedError(needs=at if end == len(data) else 0)
        yield number, start, at, whole


def message(data: Data, span: Span | None) -> dict[int, Span]:
    """The last occurrence of each field; nothing where the message is absent."""
    return {number: (start, end) for number, start, end, _ in fields_of(data, span)} if span else {}


def text(data: Data, span: Span | None) -> str:
    """A string field; empty where it is absent."""
    return data[span[0] : span[1]].decode(errors="replace") if span else ""


def number_of(data: Data, span: Span | None) -> int:
    """A varint field; 0 where it is absent."""
    return read_varint(data, *span)[0] if span else 0
