"""Planes of the model's size -> planes of input values, the last step of pre-processing (0.06 ms for 640x360)."""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel


@kernel
def yuv_to_planes(
    y: npt.NDArray[np.uint8],
    u: npt.NDArray[np.uint8],
    v: npt.NDArray[np.uint8],
    out: npt.NDArray[np.float32],
    top: int,
    left: int,
    red: int,
    matrix: npt.NDArray[np.float32],
    scale: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    cut: bool,
) -> None:
    """Three (h, w) planes into `out` (3, H, W) at (top, left), value = clip(pixel, 0, 255) * scale + bias.

    `matrix` is (luma offset, luma gain, chroma offset, rv, gu, gv, bu): r = (y - y0) * ky + rv * (v - c0) and so on
    (ITU-R BT.601/709/2020 with the gains of the sample depth folded in). `red` is the channel of red (0 RGB, 2 BGR);
    scale and bias are per output channel. Planes may hold 8 or 16 bits per sample. With `cut` each product is cut to a
    whole number, as libswscale's converters of subsampled formats do: what OpenCV programs see is 1 to 1.5 darker.
    """
    height, width = y.shape
    blue = 2 - red
    y0, ky, c0, rv, gu, gv, bu = matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5], matrix[6]
    low, high = np.float32(0), np.float32(255)
    sr, sg, sb = scale[red], scale[1], scale[blue]
    br, bg, bb = bias[red], bias[1], bias[blue]
    for i in range(height):
        y_row, u_row, v_row = y[i], u[i], v[i]
        r_row = out[red, top + i, left : left + width]
        g_row = out[1, top + i, left : left + width]
        b_row = out[blue, top + i, left : left + width]
        for j in range(width):
            luma = (np.float32(y_row[j]) - y0) * ky
            cb = np.float32(u_row[j]) - c0
            cr = np.float32(v_row[j]) - c0
            r, gb, gr, b = rv * cr, -gu * cb, -gv * cr, bu * cb
            if cut:
                luma, r, gb, gr, b = np.floor(luma), np.floor(r), np.floor(gb), np.floor(gr), np.floor(b)
            r_row[j] = min(max(luma + r, low), high) * sr + br
            g_row[j] = min(max(luma + gb + gr, low), high) * sg + bg
            b_row[j] = min(max(luma + b, low), high) * sb + bb


@kernel
def plane_to_values(
    y: npt.NDArray[np.uint8],
    out: npt.NDArray[np.float32],
    top: int,
    left: int,
    offset: np.float32,
    gain: np.float32,
    scale: np.float32,
    bias: np.float32,
) -> None:
    """One (h, w) plane into `out` (H, W) at (top, left), value = clip((y - offset) * gain, 0, 255) * scale + bias."""
    height, width = y.shape
    low, high = np.float32(0), np.float32(255)
    for i in range(height):
        line, row = y[i], out[top + i, left : left + width]
        for j in range(width):
            row[j] = min(max((np.float32(line[j]) - offset) * gain, low), high) * scale + bias


@kernel
def yuv_to_grey(
    y: npt.NDArray[np.uint8],
    u: npt.NDArray[np.uint8],
    v: npt.NDArray[np.uint8],
    out: npt.NDArray[np.float32],
    top: int,
    left: int,
    matrix: npt.NDArray[np.float32],
    scale: np.float32,
    bias: np.float32,
    cut: bool,
) -> None:
    """The red, green and blue of `yuv_to_planes` into `out` (H, W) as 0.299 r + 0.587 g + 0.114 b.

    For pictures whose luma weighs colours otherwise than BT.601: pure red is 76 of 255, its luma by BT.709 is 54.
    The arithmetic stands here again: shared by a call the compiler's vector code takes 1.6 times as long (measured).
    """
    height, width = y.shape
    y0, ky, c0, rv, gu, gv, bu = matrix[0], matrix[1], matrix[2], matrix[3], matrix[4], matrix[5], matrix[6]
    low, high = np.float32(0), np.float32(255)
    kr, kg, kb = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    for i in range(height):
        y_row, u_row, v_row, row = y[i], u[i], v[i], out[top + i, left : left + width]
        for j in range(width):
            luma = (np.float32(y_row[j]) - y0) * ky
            cb = np.float32(u_row[j]) - c0
            cr = np.float32(v_row[j]) - c0
            r, gb, gr, b = rv * cr, -gu * cb, -gv * cr, bu * cb
            if cut:
                luma, r, gb, gr, b = np.floor(luma), np.floor(r), np.floor(gb), np.floor(gr), np.floor(b)
            red, green = min(max(luma + r, low), high), min(max(luma + gb + gr, low), high)
            row[j] = (kr * red + kg * green + kb * min(max(luma + b, low), high)) * scale + bias
