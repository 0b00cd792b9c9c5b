"""The outlines of a binary crop, along the edges of its samples.

Lines run on the edges between samples, not through their centres as those of `cv2.findContours` do: an outline encloses
exactly the area of its mask, a rectangle has four corners, a single sample is a square. Samples that touch at a corner
belong to one object (8-connected), as in `cv2.findContours`, so holes are 4-connected.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

SEEN = np.uint8(2)  # set in a sample when its left side has become part of an outline
ONES = np.uint64(0x0101010101010101)


@kernel
def grown(array: I32, used: int) -> I32:
    """Twice as long, with the same first `used` numbers."""
    longer = np.empty(2 * len(array), np.int32)
    longer[:used] = array[:used]
    return longer


@kernel
def widened(table: I64, used: int) -> I64:
    """Twice as many columns, with the same first `used` ones."""
    wider = np.empty((len(table), 2 * table.shape[1]), np.int64)
    wider[:, :used] = table[:, :used]
    return wider


@kernel
def follow(grid: U8, start: int, pitch: int, corners: I32, used: int) -> tuple[I32, int, int]:
    """Walk along one outline with the mask to the right, from the left side of sample `start` upwards.

    Appends x, y of each corner to `corners` from `used` on, the upper left one of `start` first.
    Returns (corners, how many numbers are used now, enclosed area: negative for the outline of a hole).
    """
    x, y = start % pitch - 1, start // pitch - 1  # the corner reached: samples begin at column 1, row 1 of the grid
    sample, ahead, left = start, -pitch, -1  # steps in the grid: forward, and to the left
    dx, dy = 0, -1
    area = -x  # sum of x dy: this first step is upwards
    while True:
        if dy < 0:
            grid[np.uint64(sample)] |= SEEN
        straight = sample + ahead
        diagonal = straight + left
        if grid[np.uint64(diagonal)] or not grid[np.uint64(straight)]:
            if used + 2 > len(corners):
                corners = grown(corners, used)
            corners[np.uint64(used)], corners[np.uint64(used + 1)] = x, y
            used += 2
            if grid[np.uint64(diagonal)]:
                sample = diagonal
                ahead, left, dx, dy = left, -ahead, dy, -dx
            else:
                ahead, left, dx, dy = -left, ahead, -dy, dx
        else:
            sample = straight
        if sample == start and dy < 0:
            return corners, used, area
        x += dx
        y += dy
        area += x * dy


@kernel
def left_sides(words: npt.NDArray[np.uint64], w: np.uint64) -> np.uint64:
    """Which of the eight samples of word `w` are set while the one left of them is not, and have not been seen there:
    the lowest bit of each byte."""
    word = words[w]
    left = (word << np.uint64(8)) | (words[w - np.uint64(1)] >> np.uint64(56))
    sides: np.uint64 = word & ~left & ~(word >> np.uint64(1)) & ONES
    return sides


@kernel
def fresh(words: npt.NDArray[np.uint64], first: np.uint64, last: np.uint64) -> np.uint64:
    """The first of the words first..last in which `left_sides` finds any, else `last`; sixteen at a time."""
    while first < last:
        end = min(first + np.uint64(16), last)
        found = np.uint64(0)
        for w in range(first, end):
            found |= left_sides(words, np.uint64(w))
        if found:
            while not left_sides(words, first):
                first += np.uint64(1)
            return first
        first = end
    return last


@kernel
def padded(width: int) -> int:
    """Length of a row with a sample of border on both sides, in whole words."""
    return (width + 2 + 7) // 8 * 8


@kernel
def surround(corners: I32, ends: I64, areas: I64, grid: U8, pitch: int) -> I64:
    """For each outline of a hole the outline around it, -1 for the others.

    What is left of a hole's first sample belongs to the object that has the hole, and the left end of this row of
    samples lies on an outline of that object: on the outer one, or on another hole's, which comes earlier.
    """
    parents = np.full(len(ends), -1)
    labels = np.empty(len(grid), np.int32)  # by samples: which outline passes on the left; read only where written
    start = 0
    for r in range(len(ends)):
        x, bottom = corners[ends[r] - 2], corners[ends[r] - 1]
        for i in range(start, ends[r], 2):
            if corners[i] == x:
                for y in range(corners[i + 1], bottom):
                    labels[(y + 1) * pitch + x + 1] = r
            x, bottom = corners[i], corners[i + 1]
        if areas[r] < 0:
            place = (corners[start + 1] + 1) * pitch + corners[start]
            while not grid[place]:
                place -= 1
            while grid[place - 1]:
                place -= 1
            around = int(labels[place])
            parents[r] = around if parents[around] < 0 else parents[around]
        start = ends[r]
    return parents


@kernel
def trace(bits: U8, start: int, height: int, width: int, grid: U8) -> tuple[I32, I64, I64, I64]:
    """All outlines of one crop: (corners, ends, areas, parents).

    corners  x, y of each corner, in samples from the crop's upper left corner, outline after outline
    ends     (R,) how many numbers of `corners` are used after each outline
    areas    (R,) enclosed samples, negative for holes
    parents  (R,) the outline around a hole, -1 for outer ones; outlines come in the order of their first samples

    `grid` has room for the crop with a border, `padded(width)` * (height + 2); what is in it before does not matter.
    """
    pitch = padded(width)
    grid = grid[: pitch * (height + 2)]
    grid[:] = 0
    for y in range(height):
        row, source = np.uint64((y + 1) * pitch + 1), np.uint64(start + y * width)
        for x in range(np.uint64(width)):
            grid[row + x] = bits[source + x]
    words = grid.view(np.uint64)
    corners = np.empty(64, np.int32)
    count, used, holes = 0, 0, 0
    rings = np.empty((2, 8), np.int64)
    w, last = np.uint64(pitch // 8), np.uint64(len(words))
    while True:
        w = fresh(words, w, last)
        if w == last:
            break
        sample = int(w) * 8
        sides = left_sides(words, w)
        while not sides & np.uint64(1):
            sides >>= np.uint64(8)
            sample += 1
        if count == rings.shape[1]:
            rings = widened(rings, count)
        corners, used, area = follow(grid, sample, pitch, corners, used)
        rings[0, count], rings[1, count] = used, area
        count += 1
        holes += area < 0
    ends, areas = rings[0, :count], rings[1, :count]
    return corners, ends, areas, surround(corners, ends, areas, grid, pitch) if holes else np.full(count, -1)
