"""Pictures of every kind that a decoder meets, and what is none: read, or refused with one line."""

import base64
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from tests.serve.conftest import Running
from tests.serve.hosted import CLIENT, EVERY, JPEG, ask, boxes, refused
from tests.serve.tasks import SIZE, picture


def pil(mode: str, size: tuple[int, int] = SIZE, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, format, **options)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG header that claims a size, with almost nothing behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return pil("RGB", (SIZE[1], SIZE[0]), "JPEG", exif=exif)


def animated() -> bytes:
    others = [Image.new("L", SIZE, level) for level in (80, 160, 240)]
    return pil("L", format="GIF", save_all=True, append_images=others, duration=50, loop=0)


GOOD: Mapping[str, bytes] = {
    "grey": pil("L"), "grey jpeg": pil("L", format="JPEG"), "cmyk jpeg": pil("CMYK", format="JPEG"),
    "16 bits": pil("I;16"), "alpha": pil("RGBA"), "grey with alpha": pil("LA"), "palette": pil("P"),
    "one bit": pil("1"), "animated gif": animated(), "turned": turned(), "webp": pil("RGB", format="WEBP"),
    "bmp": pil("RGB", format="BMP"), "tiff": pil("RGB", format="TIFF"),
    "palette with transparency": pil("P", transparency=0),
    "progressive": pil("RGB", format="JPEG", progressive=True), "jpeg 2000": pil("RGB", format="JPEG2000"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_pictures_of_every_kind(tasks: Running, name: str) -> None:
    for content in (base64.b64encode(GOOD[name]), GOOD[name]):
        assert boxes(ask(f"{tasks.url}/det/1", content)) == EVERY
    assert boxes(CLIENT.post(f"{tasks.url}/det/1", files={"file": GOOD[name]})) == EVERY


def test_orientation_can_be_left_alone(tasks: Running) -> None:
    answer = ask(f"{tasks.url}/det/1", turned(), disable_preproc_auto_orient="True")
    assert answer.json()["image"] == {"width": SIZE[1], "height": SIZE[0]}


def test_a_line_of_pixels(tasks: Running) -> None:
    answer = ask(f"{tasks.url}/det/1", pil("RGB", (65000, 1)))
    assert answer.status_code == 200
    assert answer.json()["image"] == {"width": 65000, "height": 1}


BAD: Mapping[str, bytes] = {
    "nothing": b"", "spaces": b"  \n", "text": b"hello, is this a picture?", "html": b"<html></html>",
    "zeros": bytes(1000), "truncated jpeg": JPEG[: len(JPEG) // 2], "truncated png": picture()[:-20],
    "head of a jpeg": JPEG[:20], "bomb": bomb(60000, 60000), "one dimension": bomb(2**31 - 1, 1),
    "no pixels": bomb(100, 100), "zero size": bomb(0, 10), "float tiff": pil("F", format="TIFF"),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.", "open brace": b"{", "json": b'{"image": 3}',
    "json list": b"[1]", "only padding": b"====", "percent": b"%%%%",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture(tasks: Running, name: str) -> None:
    url = f"{tasks.url}/det/1"
    for answer in (
        ask(url, BAD[name]), ask(url, base64.b64encode(BAD[name])), ask(url, BAD[name], None),
        CLIENT.post(url, files={"file": ("a.jpg", BAD[name])}),
    ):  # fmt: skip
        message = refused(answer, 400)
        assert message.startswith("Could not load input image. Cause: ")
        assert len(message) < 300
