"""Pictures and videos as they are given, made ready to be sent."""

import base64
import binascii
import io
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from vidette.client.errors import EncodingError, InvalidInputFormatError
from vidette.client.wire import Plan, exchange, work
from vidette.remote.requests import Request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

Picture: TypeAlias = "str | os.PathLike[str] | bytes | npt.NDArray[np.uint8] | Image"
"""A path, a URL, base64 text, the bytes of a file, a BGR array (height, width[, 3 or 4]) uint8, or a PIL image."""
Pictures: TypeAlias = "Picture | Sequence[Pictures]"

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""

_JPEG_HOLDS = ("1", "L", "RGB", "CMYK", "YCbCr")
"""Modes of PIL that are sent as JPEG. The others have alpha, a palette or more bits, and are sent as PNG."""
_LOOKS_LIKE_A_PATH = re.compile(r"[^A-Za-z0-9+/=_%\s-]")
_LONGEST_PATH = 4096
_SMALL = 1 << 20
"""Bytes of a file that are read on the event loop: a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture to send; `scale` is by how much it was made smaller (0.5: half as wide), None for not at all."""

    base64: str
    scale: float | None = None


def is_url(reference: Any) -> TypeGuard[str]:
    """Whether it is a text that begins like a web address."""
    return isinstance(reference, str) and reference.startswith(("http://", "https://"))


def flat(pictures: Any) -> list[Any]:
    """Lists in lists as one list."""
    if isinstance(pictures, list | tuple):
        return [each for part in pictures for each in flat(part)]
    return [pictures]


def encoded(pictures: Any, largest: Size | None = None) -> Plan[list[Encoded]]:
    """All pictures of a list, or the one. A file's own bytes are sent; arrays and PIL images become JPEG.

    A URL is fetched here, not by the server, which need not reach it.

    largest    pictures beyond this are made smaller, the aspect ratio kept

    Raises InvalidInputFormatError, EncodingError, and as a request does for what a URL names.
    """
    given = flat(pictures)
    contents = iter((yield from exchange([Request("GET", picture) for picture in given if is_url(picture)])))
    ready = [next(contents).content if is_url(picture) else picture for picture in given]

    def texts() -> list[Encoded]:
        return [_encoded(picture, largest) for picture in ready]

    return texts() if largest is None and all(map(_at_hand, ready)) else (yield from work(texts))


def file_bytes(source: Any) -> tuple[str, bytes]:
    """A file name, and the bytes of a file or of a picture encoded. Raises as `encoded`; reads files."""
    if isinstance(source, bytes):
        return "file", source
    if isinstance(source, str | os.PathLike):
        return os.path.basename(source), _read(source)
    data = _compress(source)
    return ("picture.png" if data.startswith(b"\x89PNG") else "picture.jpg"), data


def to_base64(data: bytes) -> str:
    """As base64 text."""
    return base64.b64encode(data).decode("ascii")


def _at_hand(picture: Any) -> bool:
    """Whether it takes less time than being handed to a thread: nothing to encode, and little to read."""
    if isinstance(picture, bytes) or (isinstance(picture, str) and len(picture) >= _LONGEST_PATH):
        return True
    if not isinstance(picture, str | os.PathLike):
        return False
    try:
        found = os.stat(picture)
    except (OSError, ValueError):  # no file
        return True
    return stat.S_ISREG(found.st_mode) and found.st_size <= _SMALL


def _encoded(picture: Any, largest: Size | None) -> Encoded:
    if isinstance(picture, str) and not _is_file(picture):
        if picture[:5] != "data:" and len(picture) < _LONGEST_PATH and _LOOKS_LIKE_A_PATH.search(picture):
            raise InvalidInputFormatError(f"{picture}: no such file, and neither a URL nor base64 text")
        if largest is None:
            return Encoded(picture)
        try:
            picture = base64.b64decode(picture.rpartition(",")[2])
        except binascii.Error:
            raise EncodingError("the text is neither a file, nor a URL, nor base64") from None
    if isinstance(picture, str | os.PathLike):
        picture = _read(picture)
    if isinstance(picture, bytes):
        return _file_shrunk(picture, largest) if largest else Encoded(to_base64(picture))
    scale = _scale(_size(picture), largest) if largest else None
    return Encoded(to_base64(_compress(_shrunk(picture, scale) if scale else picture)), scale)


def _file_shrunk(data: bytes, largest: Size) -> Encoded:
    """A picture file; one that is small enough keeps its bytes."""
    from vidette.sources.base import Unreadable
    from vidette.sources.images import decode_picture

    pixels = decode_picture(data, "picture")
    if isinstance(pixels, Unreadable):
        raise EncodingError(pixels.message)
    scale = _scale(_size(pixels), largest)
    return Encoded(to_base64(_compress(_shrunk(pixels, scale)) if scale else data), scale)


def _is_file(reference: str) -> bool:
    return len(reference) < _LONGEST_PATH and os.path.exists(reference)


def _read(path: "str | os.PathLike[str]") -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidInputFormatError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from error


def _size(picture: Any) -> Size:
    if hasattr(picture, "shape"):
        return picture.shape[1], picture.shape[0]
    size: Size = _pil(picture).size
    return size


def _scale(size: Size, largest: Size) -> float | None:
    ratio = min(largest[0] / size[0], largest[1] / size[1])
    return ratio if ratio < 1 else None


def _shrunk(picture: Any, scale: float) -> Any:
    """By the scale itself, not to whole pixels of it: coordinates of the answer are divided by it."""
    width, height = _size(picture)
    if not hasattr(picture, "shape"):
        return _pil(picture).resize((max(round(width * scale), 1), max(round(height * scale), 1)))
    import cv2

    return cv2.resize(picture, None, fx=max(scale, 1 / width), fy=max(scale, 1 / height))


def _compress(picture: Any) -> bytes:
    """The bytes of a JPEG at the library's own quality, or of a PNG for what JPEG cannot hold."""
    import numpy as np

    if not isinstance(picture, np.ndarray):
        image = _pil(picture)
        with io.BytesIO() as file:
            try:
                image.save(file, format="JPEG" if image.mode in _JPEG_HOLDS else "PNG")
            except (OSError, ValueError) as error:
                raise EncodingError(f"the {image.mode} image cannot be encoded ({error})") from error
            return file.getvalue()
    if picture.dtype.kind in "fiu" and picture.dtype != np.uint8:
        picture = _levels(picture)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (1,), (3,), (4,)):
        told = f"shape {picture.shape} and dtype {picture.dtype}"
        raise InvalidInputFormatError(f"an array of {told} is no picture: (height, width, 3) uint8, BGR, is one")
    import cv2

    done, data = cv2.imencode(".png" if picture.shape[2:] == (4,) else ".jpg", picture)
    if not done:
        raise EncodingError(f"an array of shape {picture.shape} cannot be encoded")
    return bytes(data)


def _levels(picture: "npt.NDArray[Any]") -> "npt.NDArray[np.uint8]":
    """Numbers of another type as bytes, as OpenCV would store them; what it would make black in silence is refused."""
    import numpy as np

    if picture.dtype.kind == "f" and picture.size and 0 < picture.max() <= 1:
        raise InvalidInputFormatError("the array's values do not exceed 1: multiply by 255")
    levels: npt.NDArray[np.uint8] = np.rint(picture).clip(0, 255).astype(np.uint8)
    return levels


def _pil(picture: Any) -> "Image":
    from PIL import Image

    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise InvalidInputFormatError(f"{kind} is no picture: a path, URL, base64 text, array or PIL image is one")
    return picture
