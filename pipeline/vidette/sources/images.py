"""Pictures: a file, a folder or a glob, in natural order."""

import glob
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidette.errors import SourceError
from vidette.frame import Bgr, Frame, Picture, flatten_alpha
from vidette.sources.base import FrameMaker, Mode, SourceFacts, SourceOptions, Unreadable
from vidette.sources.files import path_of

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".pbm")
"""Endings that mean a picture; an animated GIF is a video."""

MAX_PIXELS = 178_956_970
"""Pictures beyond this (Pillow's own limit) are refused before they are unpacked: some kilobytes become 500 MB."""

_DIGITS = re.compile(r"(\d+)")


class ImageSource:
    """One picture after the other, `pts_s` None. What cannot be read is an `Unreadable`; the rest goes on.

    Codes of SourceError: `missing`, `no-pictures`; of Unreadable: see `read_picture`.
    """

    def __init__(self, paths: Sequence[str], options: SourceOptions) -> None:
        self._paths = paths
        self._options = options
        self.facts = SourceFacts(frames=len(paths))

    @staticmethod
    def default_mode(url: str) -> Mode:
        """Every picture."""
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "ImageSource":
        """`url` is a picture, a folder, or a glob of pictures."""
        path = path_of(url)
        if os.path.isdir(path):
            paths = pictures_in(path)
        elif os.path.lexists(path):
            paths = [path]
        else:
            paths = natural(found for found in glob.glob(path, recursive=True) if is_picture(found))
            if not glob.has_magic(path):
                raise SourceError("missing", f"{path}: no such file")
        if not paths:
            raise SourceError("no-pictures", f"{path}: no pictures there (endings {' '.join(SUFFIXES)})")
        return cls(paths, options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frames in the natural order of their names."""
        make = FrameMaker(self._options).make
        for path in self._paths:
            if self._options.stop.is_set():
                return
            image = read_picture(path)
            yield image if isinstance(image, Unreadable) else make(Picture(image), None, os.path.basename(path))

    def close(self) -> None:
        """No file stays open."""


def read_picture(path: str) -> Bgr | Unreadable:
    """One picture as upright 8-bit BGR: EXIF orientation applied, alpha laid over grey 114, 16 bits cut to 8.

    Unreadable: `missing`, `denied`, `empty`, `not-a-picture`, `too-large`, `truncated`, `corrupt`.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return Unreadable("missing", f"{path}: no such file")
    except OSError as error:
        return Unreadable("denied", f"{path}: cannot be read ({error.strerror})")
    return decode_picture(data, path)


def decode_picture(data: bytes, name: str) -> Bgr | Unreadable:
    """The same from the bytes of a picture file; `name` is for messages."""
    found = unpack(data, name, MAX_PIXELS)
    return found if isinstance(found, Unreadable) else found.bgr()


def unpack(
    data: bytes,
    name: str,
    most: int,
    *,
    upright: bool = True,
    enough: int | None = None,
    admit: Callable[[int], None] = lambda pixels: None,
) -> Picture | Unreadable:
    """A picture of at most `most` pixels.

    upright   whether EXIF orientation is applied
    enough    the longer side that somebody needs: a JPEG at least twice as large is decoded at a half, a quarter or an
              eighth by the codec itself, in a fraction of the time; the picture has its full size for coordinates
    admit     called with the number of pixels before they are unpacked; may raise
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # only for those who read pictures

    if not data:
        return Unreadable("empty", f"{name}: the file is empty")
    try:
        header = Image.open(io.BytesIO(data))  # reads no pixels
    except UnidentifiedImageError:
        return Unreadable("not-a-picture", f"{name}: not a picture of a known format")
    except Image.DecompressionBombError:  # Pillow's own bound, above which it does not say the size
        return Unreadable("too-large", f"{name}: it is more than {most} pixels")
    except (OSError, ValueError, SyntaxError) as error:
        return Unreadable("corrupt", f"{name}: the picture cannot be read ({error})")
    if header.width * header.height > most:
        return Unreadable("too-large", f"{name}: {header.width}x{header.height} is more than {most} pixels")
    if header.format in _COMPLETE and not _COMPLETE[header.format](data):
        # OpenCV would fill the rest of a JPEG with grey, and libpng complain on stderr
        return Unreadable("truncated", f"{name}: the picture is cut off")
    if header.mode == "F":  # OpenCV reads none, and says so on stderr
        return Unreadable("not-a-picture", f"{name}: values of 32-bit floating point have no agreed brightness")
    try:
        if header.has_transparency_data:  # OpenCV either drops alpha or ignores the orientation
            admit(header.width * header.height)
            rgba = np.asarray((ImageOps.exif_transpose(header) if upright else header).convert("RGBA"))
            return Picture(flatten_alpha(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)))
        flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        turned = upright and header.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
        size = (header.height, header.width) if turned else (header.width, header.height)
        factor = 1
        if enough is not None and header.format == "JPEG":
            factor, flag = next((pair for pair in _REDUCED if max(size) >= pair[0] * enough), (1, 0))
            flags |= flag
        admit(header.width * header.height // factor**2)
        image: npt.NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, OSError, ValueError, SyntaxError):
        image = None
    if image is None:
        return Unreadable("corrupt", f"{name}: the picture cannot be decoded")
    return Picture(image, size=size)


_ORIENTATION, _FIRST_TURNED = 274, 5
"""EXIF tag of the orientation, and its first value that exchanges width and height (CIPA DC-008, 4.6.4)."""
_REDUCED = ((8, 64), (4, 32), (2, 16))
"""Scales that libjpeg decodes at, and OpenCV's flag of each (ImreadModes: IMREAD_REDUCED_GRAYSCALE_*)."""


def _jpeg_complete(data: bytes) -> bool:
    """Whether the end marker follows the picture's scan (ITU-T T.81 annex B); a thumbnail's own does not count.

    Any marker may have fill bytes FF before it (B.1.1.2).
    """
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0xFF:
            position += 1
            continue
        if data[position + 1] == 0xDA:  # scan data holds no FF D9
            return data.rfind(b"\xff\xd9", position) >= 0  # from behind, where it is
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _png_complete(data: bytes) -> bool:
    """Whether the chunks reach IEND: length, type, data and CRC each (ISO/IEC 15948, 5.3)."""
    position = 8
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False


_COMPLETE = {"JPEG": _jpeg_complete, "PNG": _png_complete}


def is_picture(path: str) -> bool:
    """Whether the name says so."""
    return path.lower().endswith(SUFFIXES)


def pictures_in(folder: str) -> list[str]:
    """The pictures of a folder itself, hidden files left out, in natural order."""
    return natural(os.path.join(folder, name) for name in os.listdir(folder) if is_picture(name) and name[0] != ".")


def natural(paths: Iterable[str]) -> list[str]:
    """Sorted as people count: img2 before img10."""
    return sorted(paths, key=lambda path: [(int(p) if p.isdecimal() else -1, p) for p in _DIGITS.split(path)])
