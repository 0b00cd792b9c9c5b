"""Translucent colours over the pixels of a class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.frame import Bgr
from vidette.predictions.sampling import places

Grid = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Colour = tuple[int, int, int]


def fill(scene: Bgr, grid: Grid, extent: npt.NDArray[np.floating], colours: Mapping[int, tuple[Colour, float]]) -> None:
    """Lay a colour over each class of a grid, at its opacity 0..1; other classes stay as they are.

    grid     (h, w) classes
    extent   (4,), left, top, right, bottom of the grid in pixels of the scene; may reach beyond it
    colours  blue, green and red, and the opacity, by class
    """
    from vidette.kernels.tint import tint  # numba takes 0.2 s: listing the sinks does without

    keep = np.full(np.iinfo(grid.dtype).max + 1, 256, np.uint16)
    add = np.zeros((len(keep), 3), np.uint16)
    for number, (colour, opacity) in colours.items():
        over = round(256 * opacity)
        keep[number], add[number] = 256 - over, np.multiply(colour, over)
    classes: npt.NDArray[Any] = np.ascontiguousarray(grid)[...]
    classes.flags.writeable = False  # as decoders hand them on: the kernel is compiled for one kind of memory
    spot = places(grid.shape, extent, scene.shape[1], scene.shape[0])
    tint(scene, spot.left, spot.top, classes, spot.rows, spot.columns, keep, add)
