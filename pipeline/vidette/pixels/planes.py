"""What the planes of a decoded frame mean: which pixel formats can be read directly, and their colour matrix."""

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """Planes of one pixel format. `bits` per sample; `chroma`: 3 planes, 2 (interleaved CbCr, NV12) or none (grey).

    subsampled   chroma has fewer samples than luma; libswscale converts such formats with less precision
    """

    bits: int
    chroma: str  # "planar" | "interleaved" | "none"
    subsampled: bool
    full_range: bool = False


LAYOUTS: dict[str, PlaneLayout] = {
    **{f"yuv{s}p": PlaneLayout(8, "planar", s != "444") for s in ("420", "422", "444", "440", "411", "410")},
    **{f"yuvj{s}p": PlaneLayout(8, "planar", s != "444", True) for s in ("420", "422", "444", "440", "411")},
    **{
        f"yuv{s}p{b}le": PlaneLayout(b, "planar", s != "444")
        for s in ("420", "422", "444")
        for b in (9, 10, 12, 14, 16)
    },
    **{name: PlaneLayout(8, "interleaved", name != "nv24") for name in ("nv12", "nv16", "nv24")},
    "gray": PlaneLayout(8, "none", False, True),  # swscale too takes grey as full range
}
"""Formats whose planes are scaled as they are. All others (RGB, alpha, packed, palette) go by way of BGR once."""

_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593), 7: (0.212, 0.087)}
"""(Kr, Kb) by AVColorSpace: BT.709, BT.2020, SMPTE 240M; everything else, unspecified included, is BT.601."""

_GREY = (0.299, 0.114)
"""(Kr, Kb) of BT.601, by which grey is made of colours too, whatever the picture's own (OpenCV's COLOR_BGR2GRAY)."""

_matrices: dict[tuple[int, int, bool], F32] = {}


def colour_matrix(frame: av.VideoFrame, layout: PlaneLayout) -> F32:
    """(y0, ky, c0, rv, gu, gv, bu) for `kernels.convert`, from the frame's tags (ITU-T H.273 §8.3)."""
    key = (frame.colorspace, layout.bits, layout.full_range or frame.color_range == 2)
    matrix = _matrices.get(key)
    if matrix is None:
        matrix = _matrices[key] = _make_matrix(*key)
    return matrix


def luma_is_grey(frame: av.VideoFrame, layout: PlaneLayout) -> bool:
    """Whether its luma, in full range, is the grey of its colours: it weighs them as grey does, or has none."""
    return layout.chroma == "none" or _LUMA_WEIGHTS.get(frame.colorspace, _GREY) == _GREY


def _make_matrix(colorspace: int, bits: int, full: bool) -> F32:
    kr, kb = _LUMA_WEIGHTS.get(colorspace, _GREY)
    unit = 2.0 ** (bits - 8)
    luma_gain = 255 / ((2**bits - 1) if full else 219 * unit)
    chroma_gain = 255 / ((2**bits - 1) if full else 224 * unit)
    rv = 2 * (1 - kr) * chroma_gain
    bu = 2 * (1 - kb) * chroma_gain
    kg = 1 - kr - kb
    return np.array([0 if full else 16 * unit, luma_gain, 128 * unit, rv, bu * kb / kg, rv * kr / kg, bu], np.float32)


def plane(frame: av.VideoFrame, index: int, layout: PlaneLayout) -> npt.NDArray[Any]:
    """Plane `index` as a (height, width[, 2]) view without copy; the decoder may share it: never write into it.

    Lines are padded (width 854 has lines of 896 bytes). The view keeps the memory alive.
    """
    source = frame.planes[index]
    wide = layout.bits > 8
    lines: npt.NDArray[Any] = np.frombuffer(source, np.uint16 if wide else np.uint8)
    lines = lines.reshape(source.height, source.line_size // (2 if wide else 1))
    if index and layout.chroma == "interleaved":
        return lines[:, : source.width * 2].reshape(source.height, source.width, 2)
    return lines[:, : source.width]
