"""From the maps that a detection head ends with to candidates: what most graphs do for all places, for the few above
the threshold.

Boxes are distances from the middle of a cell to their four sides, in cells, each the mean of a distribution over whole
numbers (Generalized Focal Loss, https://arxiv.org/abs/2006.04388): the softmax of `bins` numbers, weighted by 0, 1, 2
and so on; with one bin the number itself. Scores are sigmoids. So Ultralytics' heads are since v8.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import BLOCK, NAN, OK

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@kernel
def distance(boxes: F32, side: int, bins: int, place: int) -> float:
    """In cells, of box side `side` (left, top, right, bottom) at `place`; `boxes` is (4 * bins, places)."""
    first = side * bins
    if bins == 1:
        return float(boxes[first, place])
    most = boxes[first, place]
    for k in range(1, bins):
        most = max(most, boxes[first + k, place])
    weights, mean = np.float32(0), np.float32(0)
    for k in range(bins):
        weight = np.exp(boxes[first + k, place] - most)
        weights += weight
        mean += np.float32(k) * weight
    return float(mean / weights)


@kernel
def maps(
    boxes: tuple[F32, ...], scores: tuple[F32, ...], strides: I64, allowed: Mask, confidence: float
) -> tuple[F32, I64, int]:
    """Maps (4 * bins, h, w) and (C, h, w), one pair for each stride: what `heads.columns` gives for the tensor that is
    made of them. Places are counted row by row, map after map.
    """
    floor = np.float32(confidence)
    # A place that is looked at again has at least this, rounding included.
    bound = np.float32(-np.inf)
    if floor > 0:
        bound = np.float32(np.log(floor / max(np.float32(1) - floor, np.float32(1e-30))) - 1e-3)
    total = 0
    for level in range(len(scores)):
        total += scores[level].shape[1] * scores[level].shape[2]
    places = np.empty(total, np.int64)
    classes = np.empty(total, np.int32)
    found = np.empty(total, np.float32)
    starts = np.zeros(len(scores) + 1, np.int64)  # candidates by level
    best = np.empty(BLOCK, np.float32)
    count, before = 0, 0
    for level in range(len(scores)):
        number, height, width = scores[level].shape
        n = height * width
        values = scores[level].reshape(number, n)
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            best[:] = bound
            broken = False
            for row in range(number):
                part = values[row, start : start + size]
                for j in range(size):
                    best[j] = part[j] if part[j] > best[j] else best[j]
                    broken |= part[j] != part[j]
            if broken:
                return np.empty((6, 0), np.float32), places[:0], NAN
            for j in range(size):
                if best[j] > bound:
                    score = np.float32(1) / (np.float32(1) + np.exp(-best[j]))
                    if score > floor:
                        row = 0
                        while values[row, start + j] != best[j]:
                            row += 1
                        if allowed[row]:
                            places[count] = before + start + j
                            classes[count] = row
                            found[count] = score
                            count += 1
        before += n
        starts[level + 1] = count
    candidates = np.empty((6, count), np.float32)
    sound = True
    before = 0
    for level in range(len(boxes)):
        rows, height, width = boxes[level].shape
        sides = boxes[level].reshape(rows, height * width)
        stride = np.float32(strides[level])
        for k in range(starts[level], starts[level + 1]):
            place = places[k] - before
            x = np.float32(place % width) + np.float32(0.5)
            y = np.float32(place // width) + np.float32(0.5)
            candidates[0, k] = (x - distance(sides, 0, rows // 4, place)) * stride
            candidates[1, k] = (y - distance(sides, 1, rows // 4, place)) * stride
            candidates[2, k] = (x + distance(sides, 2, rows // 4, place)) * stride
            candidates[3, k] = (y + distance(sides, 3, rows // 4, place)) * stride
            candidates[4, k] = found[k]
            candidates[5, k] = classes[k]
            for row in range(4):
                sound &= not np.isnan(candidates[row, k])
        before += height * width
    return candidates, places[:count].copy(), OK if sound else NAN
