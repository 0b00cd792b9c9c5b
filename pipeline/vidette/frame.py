"""A picture of a stream, and the handle on its undecoded pixels."""

import threading
from dataclasses import dataclass
from typing import TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt

Bgr: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, blue green red, row 0 at the top."""

Pixels: TypeAlias = av.VideoFrame | Bgr
"""As the decoder left them: a planar `av.VideoFrame`, or an upright BGR array of a picture file."""

_CV2_ROTATION = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def rotate(image: npt.NDArray[np.uint8], degrees: int) -> npt.NDArray[np.uint8]:
    """Turn an image counter-clockwise by 0, 90, 180 or 270 degrees."""
    return cv2.rotate(image, _CV2_ROTATION[degrees]) if degrees else image


def flatten_alpha(bgra: npt.NDArray[np.uint8]) -> Bgr:
    """Lay (height, width, 4) BGRA over grey 114."""
    alpha = bgra[:, :, 3:].astype(np.uint16)
    return ((bgra[:, :, :3] * alpha + 114 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _to_bgr(frame: av.VideoFrame) -> Bgr:
    if any(component.is_alpha for component in frame.format.components):
        return flatten_alpha(frame.to_ndarray(format="bgra"))
    array: Bgr = frame.to_ndarray(format="bgr24")
    return array


class Picture:
    """Pixels that are converted only when somebody looks.

    `width` and `height` are those of the upright picture; `pixels` of a video are stored unrotated and
    `rotation` (degrees counter-clockwise: 0, 90, 180, 270) makes them upright. Coordinates of every result
    are pixels of the upright picture. The pixels are shared: nobody may write into them.

    `size` (width, height) is that of a picture whose pixels are there at a smaller scale only.
    """

    __slots__ = ("__weakref__", "_bgr", "_converting", "height", "pixels", "rotation", "width")

    def __init__(self, pixels: Pixels, rotation: int = 0, size: tuple[int, int] | None = None) -> None:
        if size is not None:
            width, height = size
        elif isinstance(pixels, np.ndarray):
            height, width = pixels.shape[:2]
        else:
            height, width = pixels.height, pixels.width
        if rotation in (90, 270):
            height, width = width, height
        self.pixels = pixels
        self.rotation = rotation
        self.width = width
        self.height = height
        self._bgr: Bgr | None = None
        # An av.VideoFrame keeps the scaler it converts with: two threads at once in it end the process.
        self._converting = threading.Lock()

    def bgr(self) -> Bgr:
        """The upright picture as BGR, converted once however many sinks draw (0.3 ms for 720p).

        The array is shared between the receivers of a frame: copy before drawing. Alpha is laid over grey 114
        (the padding colour of models), so that colours hidden under full transparency stay hidden.
        """
        with self._converting:
            if self._bgr is None:
                pixels = self.pixels
                self._bgr = pixels if isinstance(pixels, np.ndarray) else rotate(_to_bgr(pixels), self.rotation)
            return self._bgr

    def __repr__(self) -> str:
        kind = "bgr" if isinstance(self.pixels, np.ndarray) else self.pixels.format.name
        return f"Picture({self.width}x{self.height} {kind}, rotation {self.rotation})"


@dataclass(slots=True, eq=False)
class Frame:
    """One decoded picture and when it was. `(stream, epoch, seq)` names it for ever.

    `pts_s` is media time in seconds as the container gives it (None where it gives none), `time` the wall
    clock at decoding (seconds since 1970, UTC), `arrived` the same moment on the monotonic clock. `name` is the file
    name of a picture that is one of many.
    """

    stream: str
    epoch: int
    seq: int
    pts_s: float | None
    time: float
    arrived: float
    picture: Picture
    name: str | None = None
