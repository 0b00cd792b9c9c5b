"""Suppression of oriented boxes, and the way of its survivors back to the source picture.

Boxes are (5, n) float64 rows x, y (centre), width, height in pixels of the model input and the angle in radians, from x
towards y; scores and classes come in rows 4 and 5 of `candidates` as in `kernels/nms.py`. float64, because covariances
are squares and their determinants differences of fourth powers: of a box 100 times as long as wide float32 leaves three
digits. Costs: benchmarks/results/rotated.json.
"""

import math

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK
from vidette.kernels.nms import rank, stretches

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

EPSILON = 1e-7  # of the published ProbIoU: keeps divisions and logarithms finite, and decides about boxes without area
BLOCK = 64  # boxes compared between two looks at "may one of them be similar enough?"

X, Y, A, B, C, SIXTH, WIDE, HIGH, COS, SIN = range(10)  # rows of what suppression knows of a box


@kernel
def boxes(head: F32, places: I64, angle: int) -> tuple[F64, int]:
    """(5, n) boxes of the places of a (R, N) head: its rows 0 to 3 and row `angle`; NAN when a number is not finite."""
    xywhr = np.empty((5, len(places)), np.float64)
    sound = True
    for row in range(5):
        values = head[angle if row == 4 else row]
        for k in range(len(places)):
            xywhr[row, k] = values[places[k]]
            sound &= np.isfinite(xywhr[row, k])
    return xywhr, OK if sound else NAN


@kernel
def describe(packed: F64, k: int, xywhr: F64, i: int) -> None:
    """Write box i as column k: centre, covariance [[a, c], [c, b]] of the rectangle as a Gaussian, a sixth of the area,
    half sides, direction."""
    w, h = abs(xywhr[2, i]), abs(xywhr[3, i])
    cos, sin = math.cos(xywhr[4, i]), math.sin(xywhr[4, i])
    u, v = w * w / 12, h * h / 12
    packed[X, k], packed[Y, k] = xywhr[0, i], xywhr[1, i]
    packed[A, k] = u * cos * cos + v * sin * sin
    packed[B, k] = u * sin * sin + v * cos * cos
    packed[C, k] = (u - v) * cos * sin
    packed[SIXTH, k] = w * h / 6
    packed[WIDE, k], packed[HIGH, k] = w / 2, h / 2
    packed[COS, k], packed[SIN, k] = cos, sin


@kernel
def may_be_similar(packed: F64, first: np.uint64, last: np.uint64, k: int, most: float) -> bool:
    """Whether the Bhattacharyya distance of box k to one of first..last may be below log(most) / 2.

    Without branches, divisions and logarithms, so that it becomes vector code: exp(x) is replaced by 1 + x, which is
    not above it. So a False is certain.
    """
    x, y, a, b, c, sixth = packed[X, k], packed[Y, k], packed[A, k], packed[B, k], packed[C, k], packed[SIXTH, k]
    maybe = False
    for j in range(first, last):
        dx, dy = packed[X, j] - x, packed[Y, j] - y
        sa, sb, sc = packed[A, j] + a, packed[B, j] + b, packed[C, j] + c
        determinant = max(sa * sb - sc * sc, 0.0)
        apart = sa * dy * dy + sb * dx * dx - 2 * sc * dx * dy
        areas = packed[SIXTH, j] * sixth + EPSILON
        wide = determinant + EPSILON
        maybe |= (determinant + EPSILON * areas) * (wide + 0.5 * apart) < most * areas * wide
    return maybe


@kernel
def similar(packed: F64, start: int, end: int, k: int, distance: float) -> bool:
    """Whether the Bhattacharyya distance of box k to one of start..end is below `distance`.

    Distance of two Gaussians with the sum of their covariances S and their offset d (https://arxiv.org/abs/2106.06072,
    in the form and with the epsilons of Ultralytics' `batch_probiou`):
    d' S^-1 d / 4 + log(det S / (4 sqrt(det S1 det S2))) / 2.
    """
    most = math.exp(2 * distance)
    for block in range(start, end, BLOCK):
        last = min(block + BLOCK, end)
        if may_be_similar(packed, np.uint64(block), np.uint64(last), k, most):
            for j in range(block, last):
                dx, dy = packed[X, j] - packed[X, k], packed[Y, j] - packed[Y, k]
                sa, sb, sc = packed[A, j] + packed[A, k], packed[B, j] + packed[B, k], packed[C, j] + packed[C, k]
                determinant = max(sa * sb - sc * sc, 0.0)
                apart = (sa * dy * dy + sb * dx * dx - 2 * sc * dx * dy) / (determinant + EPSILON)
                ratio = determinant / (packed[SIXTH, j] * packed[SIXTH, k] + EPSILON) + EPSILON
                if apart / 4 + math.log(ratio) / 2 < distance:
                    return True
    return False


@kernel
def shared_area(packed: F64, j: int, k: int, points: F64) -> float:
    """Area that two boxes share: box j in the frame of box k, cut at its four sides one after the other.

    `points` is room for (2, 8, 2) numbers: a rectangle cut by a rectangle has at most eight corners. (Sutherland and
    Hodgman, https://doi.org/10.1145/360767.360802.)
    """
    dx, dy = packed[X, j] - packed[X, k], packed[Y, j] - packed[Y, k]
    cos, sin = packed[COS, k], packed[SIN, k]
    x, y = dx * cos + dy * sin, dy * cos - dx * sin
    turn_cos = packed[COS, j] * cos + packed[SIN, j] * sin
    turn_sin = packed[SIN, j] * cos - packed[COS, j] * sin
    wide, high = packed[WIDE, j], packed[HIGH, j]
    for corner in range(4):
        right, down = wide if corner in (1, 2) else -wide, high if corner > 1 else -high
        points[0, corner, 0] = x + right * turn_cos - down * turn_sin
        points[0, corner, 1] = y + right * turn_sin + down * turn_cos
    count, this = 4, 0
    for side in range(4):
        axis, sign = side // 2, 1.0 if side % 2 else -1.0
        limit = packed[HIGH if axis else WIDE, k]
        found = 0
        for i in range(count):
            follower = (i + 1) % count
            inside = limit - sign * points[this, i, axis]
            after = limit - sign * points[this, follower, axis]
            if inside >= 0:
                points[1 - this, found] = points[this, i]
                found += 1
            if (inside > 0 > after) or (inside < 0 < after):
                part = inside / (inside - after)
                for c in range(2):
                    start, end = points[this, i, c], points[this, follower, c]
                    points[1 - this, found, c] = start + part * (end - start)
                found += 1
        count, this = found, 1 - this
    doubled = 0.0
    for i in range(1, count - 1):
        for_x, for_y = points[this, i, 0] - points[this, 0, 0], points[this, i, 1] - points[this, 0, 1]
        next_x, next_y = points[this, i + 1, 0] - points[this, 0, 0], points[this, i + 1, 1] - points[this, 0, 1]
        doubled += for_x * next_y - for_y * next_x
    return doubled / 2


@kernel
def overlaps(packed: F64, start: int, end: int, k: int, iou: float, points: F64) -> bool:
    """Whether box k shares more than `iou` of the union with one of start..end."""
    reach = math.hypot(packed[WIDE, k], packed[HIGH, k])
    area = 6 * packed[SIXTH, k]
    for j in range(start, end):
        dx, dy = packed[X, j] - packed[X, k], packed[Y, j] - packed[Y, k]
        other = 6 * packed[SIXTH, j]
        if abs(dx) + abs(dy) < 1.5 * (reach + packed[WIDE, j] + packed[HIGH, j]):
            shared = shared_area(packed, j, k, points)
            if shared > iou * (area + other - shared):
                return True
    return False


@kernel
def suppress(
    candidates: F32, xywhr: F64, iou: float, exact: bool, agnostic: bool, max_detections: int, max_candidates: int
) -> I64:
    """Positions of the boxes that stay, best first, at most `max_detections`.

    Without `exact` as Ultralytics does: a box goes when its ProbIoU with any better one, of the same class unless
    `agnostic`, is above `iou`, also when that better one goes itself (fast suppression, https://arxiv.org/abs/1904.02689).
    With it a box goes when its intersection over union with a better one that stays is above `iou`. Equal stays; 1 or
    more suppresses nothing. Only the `max_candidates` best take part, so there are at most max_candidates^2 / 2
    comparisons, and none after `max_detections` have been found.
    """
    if candidates.shape[1] == 0:
        return np.empty(0, np.int64)
    order = rank(candidates)
    n = min(len(order), max_candidates)
    # ProbIoU is 1 - sqrt(1 - exp(-distance) + epsilon), and no distance is below epsilon.
    similarity = 1 + EPSILON - (1 - iou) ** 2
    distance = -math.log(similarity)
    if iou >= 1 or (distance <= EPSILON and not exact):
        return order[: min(n, max_detections)]

    # Each class has its own stretch of `packed`: classes are never compared.
    classes, starts = stretches(candidates, order[:n], agnostic)
    ends = starts[:-1].copy()

    packed = np.empty((10, n), np.float64)
    points = np.empty((2, 8, 2), np.float64)
    result = np.empty(min(n, max_detections), np.int64)
    found = 0
    for r in range(n):
        if found == len(result):
            break
        start, end = starts[classes[r]], ends[classes[r]]
        describe(packed, end, xywhr, order[r])
        if exact:
            gone = overlaps(packed, start, end, end, iou, points)
        else:
            gone = similar(packed, start, end, end, distance)
        if not gone:
            result[found] = order[r]
            found += 1
        if not (gone and exact):
            ends[classes[r]] += 1
    return result[:found]


@kernel
def finish(
    candidates: F32,
    xywhr: F64,
    inverse: F64,
    width: int,
    height: int,
    iou: float,
    exact: bool,
    agnostic: bool,
    max_detections: int,
    max_candidates: int,
) -> tuple[F32, F32, F32, I32]:
    """Suppress and map to the source picture: (k, 4, 2) corners, (k, 4) xyxy, (k,) confidence, (k,) class.

    `inverse` is `Letterbox.inverse`. Widths are divided by the gain of x and heights by that of y, whatever the angle,
    as Ultralytics does: the box stays a rectangle. Corners begin where left and top meet at angle 0 and go from x to y;
    the first two span the width. xyxy encloses them and is clipped to the picture, they are not.
    """
    chosen = suppress(candidates, xywhr, iou, exact, agnostic, max_detections, max_candidates)
    corners = np.empty((len(chosen), 4, 2), np.float32)
    xyxy = np.empty((len(chosen), 4), np.float32)
    confidence = np.empty(len(chosen), np.float32)
    class_id = np.empty(len(chosen), np.int32)
    for k in range(len(chosen)):
        i = chosen[k]
        cos, sin = math.cos(xywhr[4, i]), math.sin(xywhr[4, i])
        wide, high = abs(xywhr[2, i]) / 2 * inverse[0], abs(xywhr[3, i]) / 2 * inverse[1]
        for axis in range(2):
            middle = (xywhr[axis, i] - inverse[2 + axis]) * inverse[axis]
            along, across = (wide * sin, high * cos) if axis else (wide * cos, -high * sin)
            end = np.float64(height if axis else width)
            reach = abs(along) + abs(across)
            corners[k, 0, axis] = middle - along - across
            corners[k, 1, axis] = middle + along - across
            corners[k, 2, axis] = middle + along + across
            corners[k, 3, axis] = middle - along + across
            xyxy[k, axis] = min(max(middle - reach, 0.0), end)
            xyxy[k, 2 + axis] = min(max(middle + reach, 0.0), end)
        confidence[k] = candidates[4, i]
        class_id[k] = np.int32(candidates[5, i])
    return corners, xyxy, confidence, class_id
