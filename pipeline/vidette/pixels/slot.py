"""A picture -> one slot of a batch, straight from the decoder's planes.

`fast` (the default) scales each plane to the model's size with cv2 and converts there, in one kernel: no full-size BGR
picture ever exists. 0.15 ms for 720p and 0.3 for 1080p, a fifth of BGR + resize + blob. A plane is filtered before
it is converted, so values differ by a half of 255 in the mean, most at coloured edges; docs/verification.md has the
effect on detections. `exact` goes by way of BGR like OpenCV programs and Ultralytics do, for comparison with them to
the bit. Pictures that are BGR already (image files) take the same way in both.
"""

from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from vidette.frame import Bgr, Picture, rotate
from vidette.kernels import convert, resize
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.planes import LAYOUTS, PlaneLayout, colour_matrix, plane
from vidette.pixels.preprocess import Preprocess

Scaling = Literal["fast", "exact"]


class Buffer(Protocol):
    """Input memory of one batch, owned by one caller and reused; nothing of it may escape."""

    slots: npt.NDArray[Any]
    """(batch, 3, height, width) or (batch, height, width, 3), of the model's dtype; pictures are written here."""

    padded: list[object]
    """Per slot the Letterbox whose padding bars it holds (they are constant: written once)."""


class ArrayBuffer:
    """A buffer in plain numpy memory, filled with the padding value at first use of a slot."""

    __slots__ = ("padded", "slots")

    def __init__(self, slots: npt.NDArray[Any]) -> None:
        self.slots = slots
        self.padded: list[object] = [None] * len(slots)


class SlotWriter:
    """Writes pictures into batch slots for one caller; keeps its scratch memory, so one per thread."""

    def __init__(self, preprocess: Preprocess, scaling: Scaling = "fast") -> None:
        self._preprocess = preprocess
        self._exact = scaling == "exact"
        self._red = 0 if preprocess.colour == "rgb" else 2
        self._dtype = np.dtype(preprocess.dtype)
        self._scale = np.array(preprocess.scale, np.float32)
        self._bias = (-np.array(preprocess.mean) * np.array(preprocess.scale)).astype(np.float32)
        # Integers are cut when they are stored: the half makes it rounding.
        self._store_bias = self._bias + np.float32(0.5) if self._dtype.kind in "iu" else self._bias
        self._planar = preprocess.layout == "nchw"
        self._scratch: dict[str, npt.NDArray[Any]] = {}

    def write(self, picture: Picture, letterbox: Letterbox, buffer: Buffer, index: int) -> None:
        """Fill slot `index` of `buffer` with the picture and, where its geometry is new, the padding bars."""
        slot = buffer.slots[index]
        target = slot
        if self._dtype == np.float16:  # numba has no float16 on the CPU: convert once at the end
            target = self._memory("half", slot.shape, np.float32)
        if buffer.padded[index] is not letterbox:
            self._pad(target)
            buffer.padded[index] = letterbox
        pixels = picture.pixels
        layout = None if isinstance(pixels, np.ndarray) or self._exact else LAYOUTS.get(pixels.format.name)
        if layout is None:
            self._write_bgr(picture.bgr(), letterbox, target)
        else:
            self._write_planes(pixels, picture.rotation, layout, letterbox, target)
        if target is not slot:
            slot[...] = target

    def warm(self) -> None:
        """Compile (or load from the cache) the kernels that the first picture will need."""
        shape = (3, 2, 2) if self._planar else (2, 2, 3)
        target = np.zeros(shape, np.float32 if self._dtype == np.float16 else self._dtype)
        grey, matrix = np.zeros((2, 2), np.uint8), np.ones(7, np.float32)
        to_yuv = convert.yuv_to_planes if self._planar else convert.yuv_to_pixels
        strided = np.zeros((2, 4), np.uint8)[:, :2]
        resize.to_a_third(np.zeros((6, 6), np.uint8), grey)
        for luma, chroma in ((grey, grey), (strided, grey), (strided, strided), (grey, strided)):
            to_yuv(luma, chroma, chroma, target, 0, 0, self._red, matrix, self._scale, self._store_bias, True)
        self._write_bgr(np.zeros((2, 2, 3), np.uint8), Letterbox(2, 2, 2, 2, 2, 2, 0, 0), target)

    def _pad(self, target: npt.NDArray[Any]) -> None:
        values = np.float32(self._preprocess.pad) * self._scale + self._bias
        if self._dtype.kind in "iu":
            values = np.rint(values)
        target[...] = values[:, None, None] if self._planar else values

    def _write_bgr(self, bgr: Bgr, letterbox: Letterbox, target: npt.NDArray[Any]) -> None:
        size = letterbox.scaled_width, letterbox.scaled_height
        if (bgr.shape[1], bgr.shape[0]) != size:
            memory = self._memory("bgr", (size[1], size[0], 3), np.uint8)
            bgr = cv2.resize(bgr, size, dst=memory, interpolation=cv2.INTER_LINEAR)
        to_input = convert.bgr_to_planes if self._planar else convert.bgr_to_pixels
        to_input(bgr, target, letterbox.top, letterbox.left, self._red, self._scale, self._store_bias)

    def _write_planes(
        self, frame: Any, rotation: int, layout: PlaneLayout, letterbox: Letterbox, target: npt.NDArray[Any]
    ) -> None:
        size = letterbox.scaled_width, letterbox.scaled_height
        if rotation in (90, 270):
            size = size[1], size[0]
        luma = self._scaled(plane(frame, 0, layout), size, "y", rotation)
        if layout.chroma == "planar":
            cb = self._scaled(plane(frame, 1, layout), size, "u", rotation)
            cr = self._scaled(plane(frame, 2, layout), size, "v", rotation)
        elif layout.chroma == "interleaved":
            both = self._scaled(plane(frame, 1, layout), size, "uv", rotation)
            cb, cr = both[:, :, 0], both[:, :, 1]
        else:
            cb = cr = self._memory("none", luma.shape, np.uint8, fill=128)
        to_input = convert.yuv_to_planes if self._planar else convert.yuv_to_pixels
        matrix, place = colour_matrix(frame, layout), (letterbox.top, letterbox.left)
        values = self._scale, self._store_bias
        cut = layout.subsampled and frame.width % 2 == 0  # most odd widths take its precise converter
        to_input(luma, cb, cr, target, *place, self._red, matrix, *values, cut)

    def _scaled(self, source: npt.NDArray[Any], size: tuple[int, int], name: str, rotation: int) -> npt.NDArray[Any]:
        if (source.shape[1], source.shape[0]) != size:
            memory = self._memory(name, (size[1], size[0], *source.shape[2:]), source.dtype)
            if source.shape == (3 * size[1], 3 * size[0]):
                resize.to_a_third(source, memory)
            else:
                cv2.resize(source, size, dst=memory, interpolation=cv2.INTER_LINEAR)
            source = memory
        return rotate(source, rotation)

    def _memory(self, name: str, shape: tuple[int, ...], dtype: Any, fill: int | None = None) -> npt.NDArray[Any]:
        """Scratch of this writer by name and shape; a stream that changes size replaces it."""
        held = self._scratch.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            held = np.empty(shape, dtype) if fill is None else np.full(shape, fill, dtype)
            self._scratch[name] = held
        return held
