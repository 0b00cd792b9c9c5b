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
def farthest(xs: F64, ys: F64, start: int) -> int:
    """The corner that is farthest from corner `start`."""
    best, most = start, 0.0
    for i in range(len(xs)):
        distance = (xs[i] - xs[start]) ** 2 + (ys[i] - ys[start]) ** 2
        if distance > most:
            best, most = i, distance
    return best


@kernel
def thin(xs: F64, ys: F64, first: int, tolerance: float, stack: I64) -> I64:
    """Douglas-Peucker on a closed line: positions of the corners that stay, from corner `first` on.

    Distances are those from the stretch between two corners, not from the line through them: it would lose needles.

    The line goes from `first` to the corner farthest from it and on back to `first`, positions counted on beyond the
    end. `stack` has room for two more than there are corners: ends of the parts still to do, the last part on top.
    """
    n = len(xs)
    stays = np.zeros(n, np.bool_)
    opposite = farthest(xs, ys, first)
    if opposite < first:
        opposite += n
    stays[first] = stays[opposite % n] = True
    stack[0], stack[1], stack[2] = first, opposite, first + n
    depth = 3
    while depth > 1:
        a, b = stack[depth - 2], stack[depth - 1]
        x, y = xs[a % n], ys[a % n]
        dx, dy = xs[b % n] - x, ys[b % n] - y
        length = dx * dx + dy * dy
        inverse = 1 / length if length > 0 else 0.0
        split, most = a, tolerance * tolerance
        for i in range(a + 1, b):
            k = i - n if i >= n else i
            px, py = xs[k] - x, ys[k] - y
            along = (dx * px + dy * py) * inverse
            if along <= 0:
                distance = px * px + py * py
            elif along >= 1:
                distance = (px - dx) ** 2 + (py - dy) ** 2
            else:
                distance = (dx * py - dy * px) ** 2 * inverse
            if distance > most:
                split, most = i, distance
        if split != a:
            stays[split % n] = True
            stack[depth - 1], stack[depth] = split, b
            depth += 1
        else:
            depth -= 1
    kept = np.empty(n, np.int64)
    count = 0
    for i in range(first, first + n):
        if stays[i % n]:
            kept[count] = i
            count += 1
    return kept[:count]


@kernel
def shifted(xs: F64, ys: F64, kept: I64, furthest: float, right: float, bottom: float) -> F64:
    """Corners (k, 2) of the polygon through the corners `kept`, each side moved until it encloses what it stands for.

    A corner is where two moved sides meet; where they are nearly parallel, or it would move more than `furthest`, it
    moves with the mean of both. Nothing leaves 0..right, 0..bottom.
    """
    n, k = len(xs), len(kept)
    sides = np.empty((3, k), np.float64)  # the normal and how far to move along it
    for j in range(k):
        a, b = kept[j], kept[j + 1] if j + 1 < k else kept[0] + n
        x, y = xs[a % n], ys[a % n]
        enclosed = 0.0
        for i in range(a + 1, b - 1):
            p, q = (i - n if i >= n else i), (i + 1 - n if i + 1 >= n else i + 1)
            enclosed += (xs[p] - x) * (ys[q] - y) - (ys[p] - y) * (xs[q] - x)
        b = b % n
        p = b - 1 if b else n - 1
        enclosed += (xs[p] - x) * (ys[b] - y) - (ys[p] - y) * (xs[b] - x)
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
        points[j, 0] = min(max(xs[kept[j] % n] + dx, 0.0), right)
        points[j, 1] = min(max(ys[kept[j] % n] + dy, 0.0), bottom)
    return points


@kernel
def simplified(
    xs: F64, ys: F64, area: float, allowed: float, tolerance: float, sample: float, right: float, bottom: float
) -> F64:
    """(k, 2) corners of one outline with fewer corners, whose area differs by at most `allowed` from `area`.

    `sample` is the size of a sample. Where an object ends within a sample is not known, so half of it is added to the
    tolerance: a staircase along a straight border becomes one side.
    """
    stack = np.empty(len(xs) + 2, np.int64)
    first = farthest(xs, ys, 0)
    reach = tolerance + sample / 2
    while tolerance > 0 and reach > 0.35 * sample:  # the corners of a diagonal lie farther than that from its middle
        points = shifted(xs, ys, thin(xs, ys, first, reach, stack), reach, right, bottom)
        enclosed = 0.0
        for j in range(len(points)):
            enclosed += points[j - 1, 0] * points[j, 1] - points[j - 1, 1] * points[j, 0]
        if len(points) > 2 and abs(enclosed / 2 - area) <= allowed:
            return points
        reach /= 2
    points = np.empty((len(xs), 2), np.float64)
    points[:, 0] = xs
    points[:, 1] = ys
    return points


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
    grid, labels = np.empty(room, np.uint8), np.empty(room, np.int32)
    for i in range(len(starts)):
        height, width = int(sizes[i, 0]), int(sizes[i, 1])
        corners, stops, areas, parents = trace(bits, starts[i], height, width, grid, labels)
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
            xs, ys = corners[start : stops[r] : 2] * scale_x, corners[start + 1 : stops[r] : 2] * scale_y
            ring = simplified(
                xs, ys, areas[r] * scale_x * scale_y, allowed * len(xs), tolerance,
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
