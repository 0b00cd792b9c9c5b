"""From a grid of samples that lies somewhere over a picture to the picture's own pixels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Places(NamedTuple):
    """The pixels whose centres lie on a grid: from column `left` and row `top` on, (m,) rows and (n,) columns of it."""

    left: int
    top: int
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]


def places(shape: tuple[int, ...], extent: npt.NDArray[np.floating], width: int, height: int) -> Places:
    """Which sample of a grid each pixel of a picture falls into.

    shape    rows and columns of the grid, which may be coarser or finer than the picture
    extent   (4,), left, top, right, bottom of the grid in pixels of the picture; may reach beyond it

    No pixels where grid and picture do not meet, where the extent has no area or is not finite.
    """
    left, columns = _along(float(extent[0]), float(extent[2]), shape[1], width)
    top, rows = _along(float(extent[1]), float(extent[3]), shape[0], height)
    return Places(left, top, rows, columns)


def window(
    grid: npt.NDArray[Any], extent: npt.NDArray[np.floating], width: int, height: int
) -> tuple[int, int, npt.NDArray[Any]]:
    """The first column, the first row and the (m, n, ...) samples of the pixels that lie on a (h, w, ...) grid.

    As `places` says; the memory it takes never grows beyond the picture's size.
    """
    left, top, rows, columns = places(grid.shape, extent, width, height)
    return left, top, grid.take(columns, axis=1).take(rows, axis=0)  # whole rows last: those are plain copies


def layers(
    crops: Sequence[npt.NDArray[np.uint8]],
    extents: npt.NDArray[np.floating],
    width: int | None = None,
    height: int | None = None,
) -> npt.NDArray[np.bool_]:
    """(N, height, width) bool, a whole picture for each of N grids of 0 and 1 that lie at (N, 4) extents.

    Without a width or height it is that of the smallest picture that holds all extents.
    """
    ends = np.nan_to_num(extents[:, 2:], posinf=0, neginf=0).max(axis=0, initial=0)
    full_width, full_height = (
        int(np.ceil(end)) if size is None else size for end, size in zip(ends, (width, height), strict=True)
    )
    full = np.zeros((len(crops), full_height, full_width), bool)
    for layer, crop, extent in zip(full, crops, extents, strict=True):
        left, top, pixels = window(crop, extent, full_width, full_height)
        layer[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return full


def _along(low: float, high: float, count: int, size: int) -> tuple[int, npt.NDArray[np.intp]]:
    """The first of `size` pixels whose centre is in [low, high), and the sample of each from there on."""
    if not (np.isfinite(low) and np.isfinite(high) and low < high and count):
        return 0, np.empty(0, np.intp)
    first, last = (int(np.ceil(np.clip(edge - 0.5, 0, size))) for edge in (low, high))
    at = (np.arange(first, last) + 0.5 - low) * (count / (high - low))
    return first, np.minimum(at.astype(np.intp), count - 1)
