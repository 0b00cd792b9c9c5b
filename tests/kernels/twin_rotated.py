"""The kernels of oriented boxes again, slow and obvious, in float64: matrices and plain loops."""

import math

import numpy as np

from tests.kernels import twin

EPSILON = 1e-7


def covariance(box):
    turn = np.array([[math.cos(box[4]), -math.sin(box[4])], [math.sin(box[4]), math.cos(box[4])]])
    return turn @ np.diag([box[2] ** 2 / 12, box[3] ** 2 / 12]) @ turn.T


def probiou(a, b):
    """1 - Hellinger distance of the two boxes as Gaussians, with the published epsilons."""
    first, second = covariance(a), covariance(b)
    both = first + second
    determinant = max(both[0, 0] * both[1, 1] - both[0, 1] ** 2, 0)
    dx, dy = a[0] - b[0], a[1] - b[1]
    adjugate = np.array([[both[1, 1], -both[0, 1]], [-both[0, 1], both[0, 0]]])
    apart = np.array([dx, dy]) @ adjugate @ np.array([dx, dy]) / (determinant + EPSILON)
    areas = abs(a[2] * a[3] * b[2] * b[3]) / 144
    distance = apart / 4 + math.log(determinant / (4 * areas + EPSILON) + EPSILON) / 2
    return 1 - math.sqrt(1 - math.exp(-min(max(distance, EPSILON), 100)) + EPSILON)


def corners(box):
    """Four corners, left and top first at angle 0, then from x to y."""
    x, y, w, h, angle = box
    cos, sin = math.cos(angle), math.sin(angle)
    offsets = [(-abs(w), -abs(h)), (abs(w), -abs(h)), (abs(w), abs(h)), (-abs(w), abs(h))]
    return [(x + (u * cos - v * sin) / 2, y + (u * sin + v * cos) / 2) for u, v in offsets]


def inside(point, box):
    dx, dy = point[0] - box[0], point[1] - box[1]
    cos, sin = math.cos(box[4]), math.sin(box[4])
    slack = 1e-9 * (abs(box[2]) + abs(box[3]))
    across, down = dx * cos + dy * sin, dy * cos - dx * sin
    return abs(across) <= abs(box[2]) / 2 + slack and abs(down) <= abs(box[3]) / 2 + slack


def crossing(p, q, r, s):
    along, other = (q[0] - p[0], q[1] - p[1]), (s[0] - r[0], s[1] - r[1])
    cross = along[0] * other[1] - along[1] * other[0]
    if abs(cross) < 1e-12:
        return None
    t = ((r[0] - p[0]) * other[1] - (r[1] - p[1]) * other[0]) / cross
    u = ((r[0] - p[0]) * along[1] - (r[1] - p[1]) * along[0]) / cross
    return (p[0] + t * along[0], p[1] + t * along[1]) if 0 <= t <= 1 and 0 <= u <= 1 else None


def iou(a, b):
    """The corners of the shared polygon are corners of one box inside the other, and crossings of sides."""
    first, second = corners(a), corners(b)
    points = [p for p in first if inside(p, b)] + [p for p in second if inside(p, a)]
    for i in range(4):
        for j in range(4):
            point = crossing(first[i], first[(i + 1) % 4], second[j], second[(j + 1) % 4])
            points += [] if point is None else [point]
    area = 0.0
    if len(points) > 2:
        x, y = (sum(p[axis] for p in points) / len(points) for axis in (0, 1))
        ring = sorted(points, key=lambda p: math.atan2(p[1] - y, p[0] - x))
        for p, q in zip(ring, [*ring[1:], ring[0]], strict=True):
            area += ((p[0] - x) * (q[1] - y) - (p[1] - y) * (q[0] - x)) / 2
    union = abs(a[2] * a[3]) + abs(b[2] * b[3]) - area
    return area / union if union > 0 else 0.0


def suppress(candidates, xywhr, limit, exact, agnostic, max_detections, max_candidates):
    boxes = [tuple(float(v) for v in xywhr[:, i]) for i in range(xywhr.shape[1])]
    looked, kept = [], []
    for i in twin.rank([float(s) for s in candidates[4]])[:max_candidates]:
        better = [k for k in (kept if exact else looked) if agnostic or candidates[5, k] == candidates[5, i]]
        looked.append(i)
        if limit >= 1 or not any((iou if exact else probiou)(boxes[k], boxes[i]) > limit for k in better):
            kept.append(i)
    return kept[:max_detections]


def close_calls(candidates, xywhr, limit, exact):
    """Whether some pair overlaps so nearly at the limit that rounding may decide otherwise."""
    boxes = [tuple(float(v) for v in xywhr[:, i]) for i in range(xywhr.shape[1])]
    measure = iou if exact else probiou
    return any(abs(measure(a, b) - limit) < 1e-6 for n, a in enumerate(boxes) for b in boxes[:n])


def to_source(box, letterbox):
    """Corners in the source picture: centre moved, width and height divided by the gains of x and y."""
    gain_x, gain_y = letterbox.scaled_width / letterbox.width, letterbox.scaled_height / letterbox.height
    x, y, w, h, angle = box
    return corners(((x - letterbox.left) / gain_x, (y - letterbox.top) / gain_y, w / gain_x, h / gain_y, angle))
