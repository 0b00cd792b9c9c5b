"""Cutting a large picture into overlapping tiles, so that small objects reach the model at their own size."""

import math
from dataclasses import dataclass

from vidette.pixels.letterbox import Region


@dataclass(frozen=True, slots=True)
class Tiles:
    """How pictures are cut.

    across, down    a grid of so many tiles when `grid`, else the size of a tile in pixels
    overlap         the part of a tile, 0..1, that its neighbour shows too: what lies on a cut is whole in one of them
    whole           whether the model also sees the whole picture, for objects larger than a tile
    """

    across: int
    down: int
    grid: bool
    overlap: float = 0.2
    whole: bool = True


def regions(width: int, height: int, tiles: Tiles) -> list[Region]:
    """The tiles of a width x height picture, row by row, all of one size; the whole picture last, if it is wanted.

    They begin at even pixels, where samples of chroma do, and together cover the picture. A picture that is not larger
    than a tile is its only one.
    """
    columns, wide = _cuts(width, tiles.across, tiles)
    rows, high = _cuts(height, tiles.down, tiles)
    cut = [(x, y, wide, high) for y in rows for x in columns]
    return [*cut, (0, 0, width, height)] if tiles.whole and len(cut) > 1 else cut


def _cuts(length: int, wanted: int, tiles: Tiles) -> tuple[list[int], int]:
    """Where tiles begin along one side, and how long they are."""
    size = math.ceil(length / (wanted - (wanted - 1) * tiles.overlap)) if tiles.grid else wanted
    size = min(length, size + size % 2)
    if size >= length:
        return [0], length
    step = size * (1 - tiles.overlap)
    count = wanted if tiles.grid else math.ceil((length - size) / step - 1e-6) + 1
    free = length - size
    return [round(free * i / (count - 1) / 2) * 2 if i < count - 1 else free for i in range(count)], size
