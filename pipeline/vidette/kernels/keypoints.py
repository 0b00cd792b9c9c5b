"""Keypoints from raw heads: the place where heat is greatest, rows of people, and faces with landmarks.

Heads are as `heads.readable` returns them. `state` is `heads.OK`, or `heads.NAN` when a score is NaN or infinite or a
coordinate of what was found is NaN. Points are in pixels of the model input unless said otherwise.
"""

import math

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import F32, I64, NAN, OK, put

F64 = npt.NDArray[np.float64]

SEARCHED = 256  # numbers of a block in which a peak is searched

QUARTER, DARK, UDP = 0, 1, 2
"""How a peak of heat is placed between samples: see `heat`."""


@kernel
def ordered(bits: np.int32) -> np.int32:
    """A whole number that orders like the float32 of these bits: those of negative ones are turned over."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@kernel
def peak(values: F32) -> tuple[int, np.float32, bool]:
    """Position of the largest of (n,) numbers, its value, and whether all are finite; the first of equals.

    A maximum of integers becomes vector code, which one of floats does not because of NaN; then only the block that
    holds it is searched.
    """
    bits = values.view(np.int32)
    top, widest, block = np.int32(-(2**31)), np.int32(0), 0
    for start in range(0, len(bits), SEARCHED):
        highest = np.int32(-(2**31))
        part = bits[start : start + SEARCHED]
        for i in range(len(part)):
            highest = max(highest, ordered(part[i]))
            widest = max(widest, np.int32(part[i] & np.int32(0x7FFFFFFF)))
        if highest > top:
            top, block = highest, start
    if len(bits) == 0 or widest >= np.int32(0x7F800000):
        return 0, np.float32(0), False
    position = block
    while ordered(bits[position]) != top:
        position += 1
    return position, values[position], True


@kernel
def axes(across: F32, down: F32, width: float, height: float) -> tuple[F32, int]:
    """SimCC: (K, Wx) and (K, Wy) numbers, each point's likely x and y, over an input of width x height: (K, 3) points.

    A point lies where each axis has its maximum, and is as sure as the less sure one, in 0..1
    (https://arxiv.org/abs/2107.03332; mmpose, codecs/simcc_label.py and codecs/utils/post_processing.py).
    """
    points = np.empty((len(across), 3), np.float32)
    for k in range(len(across)):
        x, first, sound = peak(across[k])
        y, second, also = peak(down[k])
        if not (sound and also):
            return points[:0].copy(), NAN
        points[k, 0] = x * width / across.shape[1]
        points[k, 1] = y * height / down.shape[1]
        points[k, 2] = min(max(min(first, second), np.float32(0)), np.float32(1))
    return points, OK


@kernel
def logarithms(heat: F32, x: int, y: int, weights: F64) -> F64:
    """(5, 5) logarithms of the blurred map (h, w) around a sample, the border's values repeated beyond it.

    `weights` are those of a Gaussian; the map is 0 beyond its border while it is blurred.
    """
    height, width = heat.shape
    reach = len(weights) // 2
    first, last = max(y - 2 - reach, 0), min(y + 3 + reach, height)
    lines = np.empty((5, last - first), np.float64)  # blurred across, a column in a row
    for column in range(5):
        cx = min(max(x + column - 2, 0), width - 1)
        start, end = max(cx - reach, 0), min(cx + reach + 1, width)
        for i in range(first, last):
            line = 0.0
            for j in range(start, end):
                line += weights[j - cx + reach] * heat[i, j]
            lines[column, i - first] = line
    answer = np.empty((5, 5), np.float64)
    for row in range(5):
        cy = min(max(y + row - 2, 0), height - 1)
        start, end = max(cy - reach, 0), min(cy + reach + 1, height)
        for column in range(5):
            total = 0.0
            for i in range(start, end):
                total += weights[i - cy + reach] * lines[column, i - first]
            answer[row, column] = math.log(max(total, 1e-10))
    return answer


@kernel
def summit(near: F64, refine: int) -> tuple[float, float]:
    """How far the summit lies from the middle of (5, 5) logarithms: one step of Newton's method, in samples."""
    dx, dy = (near[2, 3] - near[2, 1]) / 2, (near[3, 2] - near[1, 2]) / 2
    if refine == DARK:
        dxx = (near[2, 4] - 2 * near[2, 2] + near[2, 0]) / 4
        dyy = (near[4, 2] - 2 * near[2, 2] + near[0, 2]) / 4
        dxy = (near[3, 3] - near[1, 3] - near[3, 1] + near[1, 1]) / 4
    else:
        dxx = near[2, 3] - 2 * near[2, 2] + near[2, 1] + 2.0**-23  # the published code adds float32's epsilon
        dyy = near[3, 2] - 2 * near[2, 2] + near[1, 2] + 2.0**-23
        both = near[3, 3] - near[2, 3] - near[3, 2] + 2 * near[2, 2] - near[2, 1] - near[1, 2] + near[1, 1]
        dxy = both / 2
    determinant = dxx * dyy - dxy * dxy
    if determinant == 0:
        return 0.0, 0.0
    return (dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant


@kernel
def heat(maps: F32, refine: int, weights: F64, width: float, height: float) -> tuple[F32, int]:
    """(K, h, w) maps of heat over an input of width x height: (K, 3) points with the heat of their peaks in 0..1.

    `refine` places a peak between samples (mmpose, codecs/utils/refinement.py): `QUARTER` moves it a quarter of a
    sample to the warmer neighbour (https://arxiv.org/abs/1804.06208); `DARK` finds the summit of the blurred
    logarithms (https://arxiv.org/abs/1910.06278); `UDP` does so with derivatives over single samples, and its first and
    last sample lie on the borders of the input (https://arxiv.org/abs/1911.07524).
    """
    count, h, w = maps.shape
    points = np.empty((count, 3), np.float32)
    for k in range(count):
        place, value, sound = peak(maps[k].reshape(-1))
        if not sound:
            return points[:0].copy(), NAN
        column, row = place % w, place // w
        x, y = float(column), float(row)
        if value > 0 and refine == QUARTER:
            if 1 < column < w - 1:
                x += 0.25 * np.sign(maps[k, row, column + 1] - maps[k, row, column - 1])
            if 1 < row < h - 1:
                y += 0.25 * np.sign(maps[k, row + 1, column] - maps[k, row - 1, column])
        elif value > 0 and (refine == UDP or (1 < column < w - 2 and 1 < row < h - 2)):
            dx, dy = summit(logarithms(maps[k], column, row, weights), refine)
            x, y = x + dx, y + dy
        edge = 1 if refine == UDP else 0
        points[k, 0] = x * width / max(w - edge, 1)
        points[k, 1] = y * height / max(h - edge, 1)
        points[k, 2] = min(max(value, np.float32(0)), np.float32(1))
    return points, OK


@kernel
def person(points: F32, inverse: F64, width: int, height: int, floor: float) -> tuple[F32, F32, F32, int]:
    """(K, 3) points of one person -> (1, K, 3) in source pixels, (1, 4) the box around them, (1,) how sure, the state.

    Only points surer than `floor` count; the person is as sure as their mean, or 0 where they span no box in the
    picture, at which the box is cut. `inverse` is `Letterbox.inverse`.
    """
    placed = np.empty((1, len(points), 3), np.float32)
    xyxy = np.array([[np.inf, np.inf, -np.inf, -np.inf]], np.float32)
    total, counted = 0.0, 0
    for k in range(len(points)):
        for axis in range(3):
            if not np.isfinite(points[k, axis]):
                return placed, xyxy, np.zeros(1, np.float32), NAN
        placed[0, k, 0] = (points[k, 0] - inverse[2]) * inverse[0]
        placed[0, k, 1] = (points[k, 1] - inverse[3]) * inverse[1]
        placed[0, k, 2] = points[k, 2]
        if points[k, 2] > floor:
            total += points[k, 2]
            counted += 1
            for axis in range(2):
                inside = min(max(placed[0, k, axis], np.float32(0)), np.float32(height if axis else width))
                xyxy[0, axis] = min(xyxy[0, axis], inside)
                xyxy[0, 2 + axis] = max(xyxy[0, 2 + axis], inside)
    spans = xyxy[0, 2] > xyxy[0, 0] and xyxy[0, 3] > xyxy[0, 1]
    return placed, xyxy, np.full(1, total / counted if spans else 0.0, np.float32), OK


@kernel
def people(head: F32, confidence: float, width: float, height: float) -> tuple[F32, F32, int]:
    """MoveNet's (M, 3 K + 5): y, x, score of each point, then top, left, bottom, right, score, as parts of the input.

    Returns candidates as in kernels/heads.py and their (n, K, 3) points.
    """
    count = (head.shape[1] - 5) // 3
    candidates = np.empty((6, len(head)), np.float32)
    points = np.empty((len(head), count, 3), np.float32)
    floor = np.float32(confidence)
    sides = np.array([width, height], np.float32)
    found, broken = 0, False
    for i in range(len(head)):
        score = head[i, 3 * count + 4]
        broken |= not np.isfinite(score)
        if score > floor:
            for k in range(count):
                points[found, k, 0] = head[i, 3 * k + 1] * sides[0]
                points[found, k, 1] = head[i, 3 * k] * sides[1]
                points[found, k, 2] = head[i, 3 * k + 2]
            for side in range(4):
                candidates[side, found] = head[i, 3 * count + (side ^ 1)] * sides[side % 2]
            candidates[4, found] = score
            candidates[5, found] = 0
            for column in range(3 * count + 4):
                broken |= np.isnan(head[i, column])
            found += 1
    return candidates[:, :found].copy(), points[:found].copy(), NAN if broken else OK


@kernel
def yunet(
    classes: F32, objects: F32, boxes: F32, landmarks: F32, confidence: float, stride: int, across: int
) -> tuple[F32, F32, int]:
    """One level of YuNet: (N, 1) class, (N, 1) objectness, (N, 4) box, (N, 2 K) landmarks, a row per cell, row by row.

    score = sqrt(class * objectness), both held in 0..1; centre = (cell + xy) * stride, size = exp(wh) * stride,
    landmark = (cell + xy) * stride (OpenCV, modules/objdetect/src/face_detect.cpp).
    """
    floor = np.float32(confidence)
    places = np.empty(len(classes), np.int64)
    scores = np.empty(len(classes), np.float32)
    found, broken = 0, False
    one = np.float32(1)
    for i in range(len(classes)):
        broken |= not (np.isfinite(classes[i, 0]) and np.isfinite(objects[i, 0]))
        product = min(max(classes[i, 0], np.float32(0)), one) * min(max(objects[i, 0], np.float32(0)), one)
        if product > floor * floor:
            places[found], scores[found] = i, np.sqrt(product)
            found += 1
    candidates = np.empty((6, found), np.float32)
    points = np.empty((found, landmarks.shape[1] // 2, 2), np.float32)
    for k in range(found):
        i = places[k]
        column, row = np.float32(i % across), np.float32(i // across)
        x, y = (column + boxes[i, 0]) * stride, (row + boxes[i, 1]) * stride
        w, h = np.exp(boxes[i, 2]) * stride, np.exp(boxes[i, 3]) * stride
        broken |= not put(candidates, k, x, y, w, h, scores[k], 0)
        for p in range(points.shape[1]):
            points[k, p, 0] = (column + landmarks[i, 2 * p]) * stride
            points[k, p, 1] = (row + landmarks[i, 2 * p + 1]) * stride
            broken |= np.isnan(points[k, p, 0]) or np.isnan(points[k, p, 1])
    return candidates, points, NAN if broken else OK


@kernel
def above(scores: F32, floor: float) -> tuple[I64, bool]:
    """(n,) rows of (N, 1) scores above `floor`, and whether all are finite."""
    places = np.empty(len(scores), np.int64)
    found, sound = 0, True
    for i in range(len(scores)):
        sound &= bool(np.isfinite(scores[i, 0]))
        if scores[i, 0] > np.float32(floor):
            places[found] = i
            found += 1
    return places[:found], sound


@kernel
def scrfd(
    scores: F32, boxes: F32, landmarks: F32, confidence: float, stride: int, across: int, anchors: int
) -> tuple[F32, F32, int]:
    """One level of SCRFD: (N, 1) score, (N, 4) reach to each side, (N, 2 K) way to each landmark, in strides.

    `anchors` rows per cell, row by row; all reach from cell * stride (insightface, model_zoo/scrfd.py).
    """
    places, sound = above(scores, confidence)
    found = len(places)
    candidates = np.empty((6, found), np.float32)
    points = np.empty((found, landmarks.shape[1] // 2, 2), np.float32)
    for k in range(found):
        i = places[k]
        cell = i // anchors
        x, y = np.float32(cell % across * stride), np.float32(cell // across * stride)
        candidates[0, k] = x - boxes[i, 0] * stride
        candidates[1, k] = y - boxes[i, 1] * stride
        candidates[2, k] = x + boxes[i, 2] * stride
        candidates[3, k] = y + boxes[i, 3] * stride
        candidates[4, k] = scores[i, 0]
        candidates[5, k] = 0
        for side in range(4):
            sound &= not np.isnan(candidates[side, k])
        for p in range(points.shape[1]):
            points[k, p, 0] = x + landmarks[i, 2 * p] * stride
            points[k, p, 1] = y + landmarks[i, 2 * p + 1] * stride
            sound &= not (np.isnan(points[k, p, 0]) or np.isnan(points[k, p, 1]))
    return candidates, points, OK if sound else NAN


@kernel
def blazeface(
    logits: F32, values: F32, confidence: float, across: int, anchors: int, width: float, height: float
) -> tuple[F32, F32, int]:
    """One level of BlazeFace: (N, 1) logits and (N, 4 + 2 K) x, y, w, h and landmarks in input pixels.

    `anchors` rows per cell of an `across` x `across` grid; all positions count from the middle of the cell, whatever
    the anchor's size (`fixed_anchor_size` in MediaPipe's SsdAnchorsCalculator; https://arxiv.org/abs/1907.05047).
    """
    places, sound = above(logits, np.log(confidence) - np.log1p(-confidence))
    found = len(places)
    candidates = np.empty((6, found), np.float32)
    points = np.empty((found, values.shape[1] // 2 - 2, 2), np.float32)
    for k in range(found):
        i = places[k]
        cell = i // anchors
        x = np.float32((cell % across + 0.5) * width / across)
        y = np.float32((cell // across + 0.5) * height / across)
        score = np.float32(1) / (np.float32(1) + np.exp(-logits[i, 0]))
        sound &= put(candidates, k, x + values[i, 0], y + values[i, 1], values[i, 2], values[i, 3], score, 0)
        for p in range(points.shape[1]):
            points[k, p, 0] = x + values[i, 4 + 2 * p]
            points[k, p, 1] = y + values[i, 5 + 2 * p]
            sound &= not (np.isnan(points[k, p, 0]) or np.isnan(points[k, p, 1]))
    return candidates, points, OK if sound else NAN
