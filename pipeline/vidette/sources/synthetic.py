"""`testsrc:` a synthetic moving picture that carries its frame number in its pixels."""

from collections.abc import Iterator

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidette.frame import Bgr, Frame, Picture
from vidette.sources.base import FrameMaker, Mode, SourceFacts, SourceOptions, Unreadable
from vidette.sources.pacing import Pacer
from vidette.sources.parameters import number_parameter, parameters, size_parameter

_COLUMNS = 16
_BITS = 24
_BAND = 6  # the code covers the upper 1/6 of the picture, two rows of 16 cells
_BLACK, _WHITE = 16, 235


def _checksum(number: int) -> int:
    return (number * 0x9E3779B1 >> 11) & 0xFF ^ 0xA5


def stamp(luma: npt.NDArray[np.uint8], number: int) -> None:
    """Write `number` into the upper 1/6 of a (height, width) luma plane: 24 bits and 8 of a checksum, 2 rows of 16."""
    number &= (1 << _BITS) - 1
    word = number << 8 | _checksum(number)
    height, width = luma.shape
    bits = np.unpackbits(np.frombuffer(word.to_bytes(4, "big"), np.uint8)).reshape(2, _COLUMNS)
    rows = (bits * np.uint8(_WHITE - _BLACK) + np.uint8(_BLACK))[:, np.arange(width) * _COLUMNS // width]
    band = height // _BAND
    luma[: band // 2] = rows[0]
    luma[band // 2 : band] = rows[1]


def read_number(bgr: Bgr) -> int:
    """The frame number in an upright (height, width, 3) BGR picture of `testsrc:`, modulo 2^24.

    Survives scaling and lossy coding. Raises ValueError where there is no code or it is damaged.
    """
    height, width = bgr.shape[:2]
    band = cv2.cvtColor(bgr[: max(2, height // _BAND)], cv2.COLOR_BGR2GRAY)
    word = 0
    for cell in range(32):
        row, column = divmod(cell, _COLUMNS)
        y, x = (2 * row + 1) * band.shape[0] // 4, (2 * column + 1) * width // (2 * _COLUMNS)
        word = word << 1 | int(band[max(0, y - 1) : y + 1, max(0, x - 1) : x + 1].mean() > 127)
    number = word >> 8
    if word & 0xFF != _checksum(number):
        raise ValueError("no frame number in this picture")
    return number


class TestPicture:
    """Draws frame after frame of one size: a colour pattern that slides by 4 pixels, the number on top."""

    __test__ = False  # no test class, whatever pytest thinks of the name

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        y, x = np.mgrid[0:height, 0 : 2 * width]
        x %= width  # twice side by side: sliding is a slice
        rings = np.hypot(x - width / 2, y - height / 2)
        luma = 126 + 60 * np.cos(rings / 9) + 40 * np.sin(x * 2 * np.pi / width)
        self._luma = luma.clip(_BLACK, _WHITE).astype(np.uint8)
        chroma_y, chroma_x = y[::2, ::2], x[::2, ::2]
        self._u = (128 + 80 * np.sin(chroma_x * 2 * np.pi / width)).astype(np.uint8)
        self._v = (128 + 80 * np.cos(chroma_y * 2 * np.pi / height)).astype(np.uint8)

    def draw(self, number: int) -> av.VideoFrame:
        """Frame `number` as yuv420p, BT.601 limited range."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        shift = number * 4 % self.width // 2
        for plane, pattern, start in zip(
            frame.planes, (self._luma, self._u, self._v), (2 * shift, shift, shift), strict=True
        ):
            view = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            view[:] = pattern[:, start : start + plane.width]
            if pattern is self._luma:
                stamp(view, number)
            else:
                view[: self.height // _BAND // 2 + 1] = 128
        return frame


class TestSource:
    """`testsrc:?size=640x360&rate=30&frames=300`; without `frames` it never ends. Code of SourceError: `parameter`."""

    __test__ = False

    def __init__(self, width: int, height: int, rate: float, frames: int | None, options: SourceOptions) -> None:
        self.facts = SourceFacts(width, height, rate, frames)
        self._picture = TestPicture(width, height)
        self._options = options

    @staticmethod
    def default_mode(url: str) -> Mode:
        """As fast as it goes."""
        return "lossless"

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> "TestSource":
        """Raises SourceError `parameter` that names the parameter."""
        given = parameters(url, size="640x360", rate="30", frames="")
        width, height = size_parameter(url, given["size"])
        rate = number_parameter(url, "rate", given["rate"], 0.01, 10_000)
        frames = int(number_parameter(url, "frames", given["frames"], 1, 1 << 40)) if given["frames"] else None
        return cls(width, height, rate, frames, options)

    def frames(self) -> Iterator[Frame | Unreadable]:
        """Frame n carries the number n and `pts_s` n / rate."""
        rate = self.facts.fps or 30.0
        make = FrameMaker(self._options).make
        pacer = Pacer(self._options.stop) if self._options.mode == "live" else None
        number = 0
        while number != self.facts.frames and not self._options.stop.is_set():
            if pacer is not None and not pacer.wait(number / rate):
                return
            yield make(Picture(self._picture.draw(number)), number / rate)
            number += 1

    def close(self) -> None:
        """Nothing is held."""
