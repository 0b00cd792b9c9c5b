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
from vidette.kernels.contours import padded, trace, widened

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

ALL, LARGEST, LONGEST = 0, 1, 2
SHARE = 0.009  # of a mask's area that its polygons may have more or less


@kernel
def choose(ends: I64, areas: I64, parents: I64, parts: int) -> I64:
    """Positions of the wanted outlines: outer ones in their order, each followed by its holes.

    `LARGEST` is the outer outline that encloses most, with its holes; `LONGEST` the one with most corners, without.
    """
    count = len(ends)
    only = -1
    if parts != ALL:
        most = 0
        for r in range(count):
            size = areas[r]
            if parts == LONGEST:
                size = ends[r] - (ends[r - 1] if r else 0)
            if parents[r] < 0 and size > most:
                only, most = r, size
    holes, following = np.full(count, -1), np.full(count, -1)
    for r in range(count - 1, -1, -1):
        if parents[r] >= 0:
            following[r] = holes[parents[r]]
            holes[parents[r]] = r
    chosen = np.empty(count, np.int64)
    n = 0
    for r in range(count):
        if parents[r] < 0 and (only < 0 or r == only):
            chosen[n] = r
            n += 1
            hole = holes[r]
            while hole >= 0 and parts != LONGEST:
                chosen[n] = hole
                n += 1
                hole = following[hole]
    return chosen[:n]


@kernel
def farthest(xs: F32, ys: F32) -> int:
    """The corner that is farthest from the first one."""
    best, most = 0, np.float32(0)
    for i in range(len(xs)):
        distance = (xs[i] - xs[0]) ** 2 + (ys[i] - ys[0]) ** 2
        if distance > most:
            best, most = i, distance
    return best


@kernel
def thin(xs: F32, ys: F32, tolerance: float, stack: I64, distances: F32) -> I64:
    """Douglas-Peucker on a closed line, whose last corner is its first: positions of the corners that stay, both ends
    among them.

    Distances are those from the stretch between two corners, not from the line through them: it would lose needles.
    Positive floats order like their bits, and the greatest of whole numbers is found by vector code.
    `stack` and `distances` have room for all corners; the stack holds ends of the parts still to do, the last on top.
    """
    stays = np.zeros(len(xs), np.bool_)
    stack[0], stack[1], stack[2] = 0, farthest(xs, ys), len(xs) - 1
    for i in range(3):
        stays[stack[i]] = True
    bits = distances.view(np.int32)
    distances[0] = tolerance * tolerance
    limit = bits[0]
    zero, one = np.float32(0), np.float32(1)
    depth = 3
    while depth > 1:
        a, b = stack[depth - 2], stack[depth - 1]
        x, y = xs[a], ys[a]
        dx, dy = xs[b] - x, ys[b] - y
        length = dx * dx + dy * dy
        inverse = one / length if length > zero else zero
        for i in range(np.uint64(a + 1), np.uint64(b)):
            px, py = xs[i] - x, ys[i] - y
            along = min(max((dx * px + dy * py) * inverse, zero), one)
            px -= along * dx
            py -= along * dy
            distances[i] = px * px + py * py
        most = limit
        for i in range(np.uint64(a + 1), np.uint64(b)):
            most = max(most, bits[i])
        if most > limit:
            split = a + 1
            while bits[split] != most:
                split += 1
            stays[split] = True
            stack[depth - 1], stack[depth] = split, b
            depth += 1
        else:
            depth -= 1
    return np.flatnonzero(stays)


@kernel
def shifted(xs: F32, ys: F32, kept: I64, furthest: float, right: float, bottom: float) -> F64:
    """Corners (k, 2) of the polygon through the corners `kept`, each side moved until it encloses what it stands for.

    A corner is where two moved sides meet; where they are nearly parallel, or it would move more than `furthest`, it
    moves with the mean of both. Nothing leaves 0..right, 0..bottom.
    """
    k = len(kept) - 1
    sides = np.empty((3, k), np.float64)  # the normal and how far to move along it
    for j in range(k):
        a, b = kept[j], kept[j + 1]
        x, y = np.float64(xs[a]), np.float64(ys[a])
        enclosed = 0.0
        for i in range(np.uint64(a + 1), np.uint64(b)):
            after = i + np.uint64(1)
            enclosed += (xs[i] - x) * (ys[after] - y) - (ys[i] - y) * (xs[after] - x)
        dx, dy = xs[b] - x, ys[b] - y
        length = max(np.sqrt(dx * dx + dy * dy), 1e-9)
        sides[0, j], sides[1, j], sides[2, j] = -dy / length, dx / length, -enclosed / 2 / length
    points = np.empty((k, 2), np.float64)
    for j in range(k):
        x1, y1, d1 = sides[0, j - 1], sides[1, j - 1], sides[2, j - 1]
        x2, y2, d2 = sides[0, j], sides[1, j], sides[2, j]
        sine = x1 * y2 - y1 * x2
        dx, dy = (x1 * d1 + x2 * d2) / 2, (y1 * d1 + y2 * d2) / 2
        if abs(sine) > 0.1:
            across, down = (d1 * y2 - d2 * y1) / sine, (x1 * d2 - x2 * d1) / sine
            if across * across + down * down <= furthest * furthest:
                dx, dy = across, down
        points[j, 0] = min(max(xs[kept[j]] + dx, 0.0), right)
        points[j, 1] = min(max(ys[kept[j]] + dy, 0.0), bottom)
    return points


@kernel
def simplified(
    xs: F32, ys: F32, area: float, allowed: float, tolerance: float, sample: float, right: float, bottom: float
) -> F64:
    """(k, 2) corners of one closed outline with fewer corners, whose area differs by at most `allowed` from `area`.

    `sample` is the size of a sample. Where an object ends within a sample is not known, so half of it is added to the
    tolerance: a staircase along a straight border becomes one side.
    """
    stack, distances = np.empty(len(xs), np.int64), np.empty(len(xs), np.float32)
    reach = tolerance + sample / 2
    while tolerance > 0 and reach > 0.35 * sample:  # the corners of a diagonal lie farther than that from its middle
        points = shifted(xs, ys, thin(xs, ys, reach, stack, distances), reach, right, bottom)
        enclosed = 0.0
        for j in range(len(points)):
            enclosed += points[j - 1, 0] * points[j, 1] - points[j - 1, 1] * points[j, 0]
        if len(points) > 2 and abs(enclosed / 2 - area) <= allowed:
            return points
        reach /= 2
    points = np.empty((len(xs) - 1, 2), np.float64)
    points[:, 0] = xs[:-1]
    points[:, 1] = ys[:-1]
    return points


@kernel
def closed(corners: I32, start: int, stop: int, scale: float) -> F32:
    """Every second of corners[start:stop], scaled, and the first one again."""
    line = np.empty((stop - start + 1) // 2 + 1, np.float32)
    for i in range(len(line) - 1):
        line[i] = corners[start + 2 * i] * scale
    line[-1] = line[0]
    return line


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
    rings = np.empty((3, 16), np.int64)
    used, count = 0, 0
    room = 0
    for i in range(len(starts)):
        room = max(room, padded(int(sizes[i, 1])) * (int(sizes[i, 0]) + 2))
    grid = np.empty(room, np.uint8)
    for i in range(len(starts)):
        height, width = int(sizes[i, 0]), int(sizes[i, 1])
        corners, stops, areas, parents = trace(bits, starts[i], height, width, grid)
        chosen = choose(stops, areas, parents, parts)
        left, top = extents[i, 0], extents[i, 1]
        scale_x, scale_y = (extents[i, 2] - left) / max(width, 1), (extents[i, 3] - top) / max(height, 1)
        net, length = 0, 0
        for r in chosen:
            net += areas[r]
            length += (stops[r] - (stops[r - 1] if r else 0)) // 2
        allowed = SHARE * net * scale_x * scale_y / max(length, 1)
        for r in chosen:
            start = stops[r - 1] if r else 0
            ring = simplified(
                closed(corners, start, stops[r], scale_x), closed(corners, start + 1, stops[r], scale_y),
                areas[r] * scale_x * scale_y, allowed * (stops[r] - start) / 2, tolerance,
                max(scale_x, scale_y), width * scale_x, height * scale_y,
            )  # fmt: skip
            while used + len(ring) > len(points):
                wider = np.empty((2 * len(points), 2), np.float32)
                wider[:used] = points[:used]
                points = wider
            for j in range(len(ring)):
                points[used, 0], points[used, 1] = left + ring[j, 0], top + ring[j, 1]
                used += 1
            if count == rings.shape[1]:
                rings = widened(rings, count)
            rings[0, count], rings[1, count], rings[2, count] = used, parents[r], i
            count += 1
    return points[:used].copy(), rings[0, :count].copy(), rings[1, :count] >= 0, rings[2, :count].copy()
