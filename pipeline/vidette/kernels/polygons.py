"""Binary crops -> polygons with few corners and the same area.

The outlines of `contours.py` are simplified as Douglas and Peucker do (1973,
https://doi.org/10.3138/FM57-6770-U75U-7727), between two corners that are far apart. Then each side moves along its
normal until it encloses the same area as what it stands for, because sides that lead from corner to corner of a
staircase lie beside its middle. An outline that still encloses another area than its mask, by more than `SHARE`, is
done again with half the tolerance.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.contours import AREA, END, ONE, PARENT, SLACK, trace, words_of

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

ALL, LARGEST, LONGEST = 0, 1, 2
SHARE = 0.009  # of a mask's area that its polygons may have more or less
BLOCK = np.uint64(SLACK)  # corners at a time


@kernel
def choose(rings: I64, parts: int) -> I64:
    """Positions of the wanted outlines: outer ones in their order, each followed by its holes.

    `LARGEST` is the outer outline that encloses most, with its holes; `LONGEST` the one with most corners, without.
    """
    count = rings.shape[1]
    only = -1
    if parts != ALL:
        most = 0
        for r in range(count):
            size = rings[AREA, r]
            if parts == LONGEST:
                size = rings[END, r] - (rings[END, r - 1] if r else 0)
            if rings[PARENT, r] < 0 and size > most:
                only, most = r, size
    holes, following = np.full(count, -1), np.full(count, -1)
    for r in range(count - 1, -1, -1):
        parent = rings[PARENT, r]
        if parent >= 0:
            following[r] = holes[parent]
            holes[parent] = r
    chosen = np.empty(count, np.int64)
    n = 0
    for r in range(count):
        if rings[PARENT, r] < 0 and (only < 0 or r == only):
            chosen[n] = r
            n += 1
            hole = holes[r]
            while hole >= 0 and parts != LONGEST:
                chosen[n] = hole
                n += 1
                hole = following[hole]
    return chosen[:n]


@kernel
def longer(points: F32, used: int, more: int) -> F32:
    """At least twice as long, with room for `more` behind the same first `used` points."""
    copy = np.empty((2 * len(points) + more, 2), np.float32)
    copy[:used] = points[:used]
    return copy


@kernel
def wider(table: I64, used: int) -> I64:
    """Twice as many columns, with the same first `used` ones."""
    copy = np.empty((len(table), 2 * table.shape[1]), np.int64)
    copy[:, :used] = table[:, :used]
    return copy


@kernel
def apart(xs: F32, ys: F32, a: np.uint64, b: np.uint64, distances: F32, bits: I32) -> np.uint64:
    """Which of the corners between a and b, the first one being 0, is farthest from the stretch between these two;
    `distances` gets the squares of how far each is, and zeros behind them.

    Distances from the line through a and b would lose needles. `bits` is a view of `distances`: positive floats order
    like their bits, and the greatest of whole numbers is found by vector code. All goes by whole blocks, beyond b,
    because what remains of a vector takes longer than all others.
    """
    zero, one = np.float32(0), np.float32(1)
    first, count = a + ONE, b - a - ONE
    whole = (count + BLOCK - ONE) // BLOCK * BLOCK
    x, y = xs[a], ys[a]
    dx, dy = xs[b] - x, ys[b] - y
    length = dx * dx + dy * dy
    inverse = one / length if length > zero else zero
    for i in range(whole):
        px, py = xs[first + i] - x, ys[first + i] - y
        along = min(max((dx * px + dy * py) * inverse, zero), one)
        px -= along * dx
        py -= along * dy
        distances[i] = px * px + py * py
    for i in range(BLOCK):
        distances[count + i] = zero
    most = np.int32(0)
    for i in range(whole):
        most = max(most, bits[i])
    at = np.uint64(0)
    while bits[at] != most:
        at += ONE
    return at


@kernel
def thin(xs: F32, ys: F32, last: int, tolerance: float, kept: I64, stack: I64, distances: F32) -> int:
    """Douglas-Peucker on a closed line, whose corner `last` is its first: how many sides stay; `kept` gets their ends.

    The first split is at the corner farthest from the first one, because a stretch without length is a point.
    `stack` holds ends of the parts still to do, the next one on top.
    """
    bits = distances.view(np.int32)
    allowed = np.float32(tolerance * tolerance)
    stack[0], stack[1] = last, 0
    depth, sides = 2, 0
    while depth > 1:
        a, b = np.uint64(stack[depth - 1]), np.uint64(stack[depth - 2])
        at = apart(xs, ys, a, b, distances, bits)
        if distances[at] > allowed:
            stack[depth - 1], stack[depth] = a + ONE + at, a
            depth += 1
        else:
            kept[sides] = a
            sides += 1
            depth -= 1
    kept[sides] = last
    return sides


@kernel
def moved(xs: F32, ys: F32, a: int, b: int) -> tuple[float, float, float]:
    """The normal (x, y) of the side from corner a to corner b, and how far along it the side encloses what the corners
    between do."""
    x, y = np.float64(xs[a]), np.float64(ys[a])
    dx, dy = xs[b] - x, ys[b] - y
    enclosed = dx * dy / 2
    for i in range(np.uint64(a + a % 2), np.uint64(b), np.uint64(2)):  # only these lead along x
        enclosed += (ys[i] - y) * (np.float64(xs[i]) - xs[i + np.uint64(1)])
    length = max(np.sqrt(dx * dx + dy * dy), 1e-9)
    return -dy / length, dx / length, -enclosed / length


@kernel
def shifted(
    xs: F32, ys: F32, kept: I64, sides: int, furthest: float, right: float, bottom: float, corners: F64
) -> None:
    """Corners of the polygon through the corners `kept`, each side moved until it encloses what it stands for.

    A corner is where two moved sides meet; where they are nearly parallel, or it would move more than `furthest`, it
    moves with the mean of both. Nothing leaves 0..right, 0..bottom.
    """
    x1, y1, d1 = moved(xs, ys, kept[sides - 1], kept[sides])
    for j in range(sides):
        x2, y2, d2 = moved(xs, ys, kept[j], kept[j + 1])
        sine = x1 * y2 - y1 * x2
        dx, dy = (x1 * d1 + x2 * d2) / 2, (y1 * d1 + y2 * d2) / 2
        if abs(sine) > 0.1:
            across, down = (d1 * y2 - d2 * y1) / sine, (x1 * d2 - x2 * d1) / sine
            if across * across + down * down <= furthest * furthest:
                dx, dy = across, down
        corners[j, 0] = min(max(xs[kept[j]] + dx, 0.0), right)
        corners[j, 1] = min(max(ys[kept[j]] + dy, 0.0), bottom)
        x1, y1, d1 = x2, y2, d2


@kernel
def simplified(
    xs: F32, ys: F32, area: float, allowed: float, tolerance: float, sample: float, right: float, bottom: float,
    kept: I64, stack: I64, distances: F32, corners: F64,
) -> int:  # fmt: skip
    """One closed outline with fewer corners, whose area differs by at most `allowed` from `area`, into `corners`.

    xs, ys  its corners, the first one again, and `SLACK` numbers that do not matter
    sample  the size of a sample. Where an object ends within a sample is not known, so half of it is added to the
            tolerance: a staircase along a straight border becomes one side
    kept, stack, distances, corners  room for all corners, and `SLACK` more distances

    Returns how many corners there are.
    """
    last = len(xs) - SLACK - 1
    reach = tolerance + sample / 2
    while tolerance > 0 and reach > 0.35 * sample:  # the corners of a diagonal lie farther than that from its middle
        sides = thin(xs, ys, last, reach, kept, stack, distances)
        if sides > 2:
            shifted(xs, ys, kept, sides, reach, right, bottom, corners)
            enclosed = corners[sides - 1, 0] * corners[0, 1] - corners[sides - 1, 1] * corners[0, 0]
            for j in range(1, sides):
                enclosed += corners[j - 1, 0] * corners[j, 1] - corners[j - 1, 1] * corners[j, 0]
            if abs(enclosed / 2 - area) <= allowed:
                return sides
        reach /= 2
    for i in range(last):
        corners[i, 0], corners[i, 1] = xs[i], ys[i]
    return last


@kernel
def outlines(
    bits: U8, starts: I64, sizes: I32, extents: F64, tolerance: float, parts: int
) -> tuple[F32, I64, Flags, I64]:
    """Polygons of all crops of `Masks`: (points, ends, holes, owners).

    tolerance  how far, in pixels of the picture, corners that are left out may lie from the outline, half a sample not
               counted, before sides are moved, which is by less than that; 0 keeps all corners
    parts      `ALL`, `LARGEST` or `LONGEST`, see `choose`

    points     (P, 2) float32 x, y in pixels of the picture, polygon after polygon, the first point not repeated; on the
               screen outer outlines run clockwise, holes the other way
    ends       (R,) where each polygon ends in `points`
    holes      (R,) whether it is a hole; holes follow the outline that they lie in
    owners     (R,) whose crop it is; the polygons of one crop follow each other
    """
    points = np.empty((256, 2), np.float32)
    table = np.empty((3, 16), np.int64)
    used, count = 0, 0
    in_packed, in_rows, widest = 0, 0, 0
    for i in range(len(starts)):
        words = words_of(int(sizes[i, 0]), int(sizes[i, 1]))
        in_packed, in_rows, widest = max(in_packed, words[0]), max(in_rows, words[1]), max(widest, int(sizes[i, 1]))
    packed, rows, changed = np.empty(in_packed, np.uint64), np.empty(in_rows, np.uint64), np.empty(in_rows, np.uint64)
    opened, stretches = np.empty(widest + 1, np.int32), np.empty((256, 5), np.int32)
    for i in range(len(starts)):
        height, width = int(sizes[i, 0]), int(sizes[i, 1])
        left, top = extents[i, 0], extents[i, 1]
        scale_x, scale_y = (extents[i, 2] - left) / max(width, 1), (extents[i, 3] - top) / max(height, 1)
        xs, ys, rings, stretches = trace(
            bits, starts[i], height, width, scale_x, scale_y, packed, rows, changed, opened, stretches
        )
        chosen = choose(rings, parts)
        kept, stack = np.empty(len(xs), np.int64), np.empty(len(xs), np.int64)
        distances, corners = np.empty(len(xs) + SLACK, np.float32), np.empty((len(xs), 2), np.float64)
        net, length = 0, 0
        for r in chosen:
            net += rings[AREA, r]
            length += rings[END, r] - (rings[END, r - 1] if r else 0) - 1
        allowed = SHARE * net * scale_x * scale_y / max(length, 1)
        for r in chosen:
            start, end = rings[END, r - 1] if r else 0, rings[END, r]
            sides = simplified(
                xs[start : end + SLACK], ys[start : end + SLACK],
                rings[AREA, r] * scale_x * scale_y, allowed * (end - start - 1), tolerance,
                max(scale_x, scale_y), width * scale_x, height * scale_y, kept, stack, distances, corners,
            )  # fmt: skip
            if used + sides > len(points):
                points = longer(points, used, sides)
            for j in range(sides):
                points[used + j, 0], points[used + j, 1] = left + corners[j, 0], top + corners[j, 1]
            used += sides
            if count == table.shape[1]:
                table = wider(table, count)
            table[0, count], table[1, count], table[2, count] = used, rings[PARENT, r], i
            count += 1
    return points[:used].copy(), table[0, :count].copy(), table[1, :count] >= 0, table[2, :count].copy()
