"""A picture -> one slot of a batch, straight from the decoder's planes.

`fast` (the default) scales each plane to the model's size with cv2 and converts there, in one kernel: no full-size BGR
picture ever exists. 0.15 ms for 720p and 0.3 for 1080p, a fifth of BGR + resize + blob. A plane is filtered before
it is converted, so values differ by a half of 255 in the mean, most at coloured edges; docs/verification.md has the
effect on detections. `exact` goes by way of BGR like OpenCV programs and Ultralytics do, for comparison with them to
the bit. Pictures that are BGR already (image files) take the same way in both.

For models of one channel `exact` makes grey of the scaled BGR picture as cv2 does; `fast` scales the luma plane alone
and puts it into full range, where luma weighs colours as grey does (BT.601), and takes part of all planes where it does
not (BT.709, BT.2020). Both are the same grey within 0.5 of 255 in the mean, but for colours that RGB cannot hold.
"""

from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from vidette.frame import Bgr, Picture, rotate
from vidette.geometry import Transform
from vidette.kernels import convert, resize
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.planes import LAYOUTS, PlaneLayout, colour_matrix, luma_is_grey, plane
from vidette.pixels.preprocess import Preprocess, slot_shape

Scaling = Literal["fast", "exact"]


_AS_IT_IS = np.float32(0), np.float32(1)
_CUT = np.float32(0.9)
"""How much darker grey is where libswscale cuts products to whole numbers (`convert.yuv_to_planes`), by a half each in
the mean: luma's alone for neutral colours, 0.5; for others 0.299 + 2 * 0.587 + 0.114 of chroma's too, 1.3."""

_PLANES = {"planar": ("y", "u", "v"), "interleaved": ("y", "uv"), "none": ("y",)}


def _inside(scaled: npt.NDArray[Any], letterbox: Letterbox) -> npt.NDArray[Any]:
    """What of a scaled picture lies in the model's input: with `crop` it reaches beyond."""
    top, left = -min(letterbox.top, 0), -min(letterbox.left, 0)
    if scaled.shape[0] <= letterbox.input_height and scaled.shape[1] <= letterbox.input_width:
        return scaled
    return scaled[top : top + letterbox.input_height, left : left + letterbox.input_width]


def _stored(letterbox: Letterbox, width: int, height: int, rotation: int) -> tuple[float, float, float, float]:
    """The letterbox's region as fractions left, top, right, bottom of a width x height frame before rotation."""
    left, top, wide, high = letterbox.region
    upright = Transform.turn(width, height, rotation)
    box = upright.back(width, height).boxes(np.array([[left, top, left + wide, top + high]]))[0]
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _part(source: npt.NDArray[Any], part: tuple[float, float, float, float] | None) -> npt.NDArray[Any]:
    """The part of a plane; chroma planes have fewer samples, so parts begin at even pixels."""
    if part is None:
        return source
    height, width = source.shape[:2]
    left, top, right, bottom = (round(p * side) for p, side in zip(part, (width, height) * 2, strict=True))
    return source[top : max(bottom, top + 1), left : max(right, left + 1)]


def _bilinear(source: npt.NDArray[Any], out: npt.NDArray[Any], antialias: bool) -> None:
    """Scale a plane, by the cheaper way where there is one."""
    height, width = out.shape[:2]
    if antialias:
        rows, columns = resize.taps(source.shape[0], height), resize.taps(source.shape[1], width)
        channels = out.shape[2] if out.ndim == 3 else 1
        lines = source.reshape(source.shape[0], -1)
        resize.antialiased(lines, out.reshape(height, -1), channels, *rows, *columns)
        return
    if source.shape == (3 * height, 3 * width):
        resize.to_a_third(source, out)
    elif (
        out.dtype == np.uint8
        and out.ndim == 2
        and source.shape == (height // 2 * 3, width // 2 * 3)
        and not (height % 2 or width % 2)
    ):
        resize.to_two_thirds(source, out)
    else:
        cv2.resize(source, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


class Buffer(Protocol):
    """Input memory of one batch, owned by one caller and reused; nothing of it may escape."""

    slots: npt.NDArray[Any]
    """(batch, channels, height, width) or (batch, height, width, channels); pictures are written here. Of the model's
    dtype, or uint8 levels where the session scales them itself."""

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
        self._antialias = preprocess.antialias
        self._grey = preprocess.colour == "grey"
        self._red = 0 if preprocess.colour == "rgb" else 2
        self._dtype = np.dtype(preprocess.dtype)
        self._scale = np.array(preprocess.scale, np.float32)
        self._bias = (-np.array(preprocess.mean) * np.array(preprocess.scale)).astype(np.float32)
        # Integers are cut when they are stored: the half makes it rounding.
        self._store_bias = self._bias + np.float32(0.5) if self._dtype.kind in "iu" else self._bias
        self._planar = preprocess.layout == "nchw"
        self._levels = self._dtype == np.uint8 and not self._bias.any() and bool((self._scale == 1).all())
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
        shape = slot_shape(self._preprocess, 1, (2, 2))[1:]
        target = np.zeros(shape, np.float32 if self._dtype == np.float16 else self._dtype)
        grey, matrix = np.zeros((2, 2), np.uint8), np.ones(7, np.float32)
        if self._antialias:
            for plane_ in (np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.uint8)[:, :3]):
                _bilinear(plane_, grey, antialias=True)
        strided = np.zeros((2, 4), np.uint8)[:, :2]
        for side, scale in ((6, resize.to_a_third), (3, resize.to_two_thirds)):
            scale(np.zeros((side, side), np.uint8), grey)
            scale(np.zeros((side, side + 1), np.uint8)[:, :side], grey)
        for luma, chroma in ((grey, grey), (strided, grey), (strided, strided), (grey, strided)):
            self._store_yuv(luma, chroma, chroma, target, (0, 0), matrix, cut=True)
        if self._grey:
            self._store_grey(strided, target, (0, 0), _AS_IT_IS)
        self._write_bgr(np.zeros((2, 2, 3), np.uint8), Letterbox(2, 2, 2, 2, 2, 2, 0, 0), target)

    def _pad(self, target: npt.NDArray[Any]) -> None:
        values = np.float32(self._preprocess.pad) * self._scale + self._bias
        if self._dtype.kind in "iu":
            values = np.rint(values)
        target[...] = values[:, None, None] if self._planar else values

    def _write_bgr(self, bgr: Bgr, letterbox: Letterbox, target: npt.NDArray[Any]) -> None:
        size = letterbox.scaled_width, letterbox.scaled_height
        if not letterbox.whole:
            left, top, width, height = letterbox.region
            bgr = bgr[top : top + height, left : left + width]
        if (bgr.shape[1], bgr.shape[0]) != size:
            memory = self._memory("bgr", (size[1], size[0], 3), np.uint8)
            _bilinear(bgr, memory, self._antialias)
            bgr = memory
        bgr = _inside(bgr, letterbox)
        place = max(letterbox.top, 0), max(letterbox.left, 0)
        if self._grey:
            grey = self._memory("grey", bgr.shape[:2], np.uint8)
            self._store_grey(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY, dst=grey), target, place, _AS_IT_IS)
            return
        self._store_bgr(bgr, target, place)

    def _write_planes(
        self, frame: Any, rotation: int, layout: PlaneLayout, letterbox: Letterbox, target: npt.NDArray[Any]
    ) -> None:
        size = letterbox.scaled_width, letterbox.scaled_height
        if rotation in (90, 270):
            size = size[1], size[0]
        part = None if letterbox.whole else _stored(letterbox, frame.width, frame.height, rotation)
        luma_only = self._grey and luma_is_grey(frame, layout)
        luma, *chroma = (
            _inside(rotate(self._scaled(_part(plane(frame, i, layout), part), size, name), rotation), letterbox)
            for i, name in enumerate(_PLANES["none" if luma_only else layout.chroma])
        )
        matrix, place = colour_matrix(frame, layout), (max(letterbox.top, 0), max(letterbox.left, 0))
        cut = layout.subsampled and frame.width % 2 == 0  # most odd widths take its precise converter
        if luma_only:
            darker = _CUT if cut else np.float32(0)
            self._store_grey(luma, target, place, (matrix[0] + darker / matrix[1], matrix[1]))
            return
        if layout.chroma == "planar":
            cb, cr = chroma
        elif layout.chroma == "interleaved":
            cb, cr = chroma[0][:, :, 0], chroma[0][:, :, 1]
        else:
            cb = cr = self._memory("none", luma.shape, np.uint8, fill=128)
        self._store_yuv(luma, cb, cr, target, place, matrix, cut=cut)

    def _store_yuv(
        self,
        luma: npt.NDArray[Any],
        cb: npt.NDArray[Any],
        cr: npt.NDArray[Any],
        target: npt.NDArray[Any],
        place: tuple[int, int],
        matrix: npt.NDArray[np.float32],
        *,
        cut: bool,
    ) -> None:
        """Scaled planes into the slot; `place` is (top, left)."""
        if self._grey:
            values = self._scale[0], self._store_bias[0]
            convert.yuv_to_grey(luma, cb, cr, self._only(target), *place, matrix, *values, cut)
            return
        out, top, left = self._planes(target, place, luma.shape)
        convert.yuv_to_planes(luma, cb, cr, out, top, left, self._red, matrix, self._scale, self._store_bias, cut)
        self._interleave(out, target, place)

    def _store_bgr(self, bgr: Bgr, target: npt.NDArray[Any], place: tuple[int, int]) -> None:
        """A scaled picture into the slot; `place` is (top, left)."""
        height, width = bgr.shape[:2]
        out, top, left = self._planes(target, place, (height, width))
        channels = (2 - self._red, 1, self._red)  # of blue, green and red
        if self._levels:
            cv2.split(bgr, [out[channel, top : top + height, left : left + width] for channel in channels])
        else:
            levels = self._memory("levels", (3, height, width), np.uint8)
            cv2.split(bgr, list(levels))
            for level, channel in zip(levels, channels, strict=True):
                values = self._scale[channel], self._store_bias[channel]
                convert.plane_to_values(level, out[channel], top, left, *_AS_IT_IS, *values)
        self._interleave(out, target, place)

    def _planes(
        self, target: npt.NDArray[Any], place: tuple[int, int], size: tuple[int, ...]
    ) -> tuple[npt.NDArray[Any], int, int]:
        """Where to write channel by channel, and the top and left there: the slot, or memory for its pixels."""
        return (target, *place) if self._planar else (self._memory("planes", (3, *size), target.dtype), 0, 0)

    def _interleave(self, planes: npt.NDArray[Any], target: npt.NDArray[Any], place: tuple[int, int]) -> None:
        """Pixels from planes, unless the slot is planar: a tenth of the time of kernels that write pixel by pixel."""
        if not self._planar:
            (_, height, width), (top, left) = planes.shape, place
            cv2.merge(list(planes), target[top : top + height, left : left + width])

    def _store_grey(
        self,
        grey: npt.NDArray[Any],
        target: npt.NDArray[Any],
        place: tuple[int, int],
        level: tuple[np.float32, np.float32],
    ) -> None:
        """One scaled plane into the slot of a model of one channel; `level` is (offset, gain) that make it 0..255."""
        values = self._scale[0], self._store_bias[0]
        convert.plane_to_values(grey, self._only(target), *place, *level, *values)

    def _only(self, target: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The one channel of a slot, (height, width)."""
        plane_: npt.NDArray[Any] = target[0] if self._planar else target[:, :, 0]
        return plane_

    def _scaled(self, source: npt.NDArray[Any], size: tuple[int, int], name: str) -> npt.NDArray[Any]:
        if (source.shape[1], source.shape[0]) != size:
            memory = self._memory(name, (size[1], size[0], *source.shape[2:]), source.dtype)
            _bilinear(source, memory, self._antialias)
            source = memory
        return source

    def _memory(self, name: str, shape: tuple[int, ...], dtype: Any, fill: int | None = None) -> npt.NDArray[Any]:
        """Scratch of this writer by name and shape; a stream that changes size replaces it."""
        held = self._scratch.get(name)
        if held is None or held.shape != shape or held.dtype != dtype:
            held = np.empty(shape, dtype) if fill is None else np.full(shape, fill, dtype)
            self._scratch[name] = held
        return held
