"""Heads of query models (DETR and its kin): one row per query, boxes as centre and size in 0..1 of the model's input.

As in `kernels/heads.py` all return (candidates (6, n) in pixels of the model input, places (n,): the query of each,
state). Heads are float32, C-contiguous and read-only (`heads.readable`).
"""

import math

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK, put

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SLACK = 1e-3  # of a logit: what is this near to the threshold is decided by its score, computed in full


@kernel
def corners(head: F32, width: int, height: int) -> F32:
    """(M, 6): centre x, centre y, width, height in 0..1, score, class -> the same rows with corners in input pixels."""
    rows = np.empty_like(head)
    for i in range(head.shape[0]):
        half_w, half_h = head[i, 2] / np.float32(2), head[i, 3] / np.float32(2)
        rows[i, 0] = (head[i, 0] - half_w) * np.float32(width)
        rows[i, 1] = (head[i, 1] - half_h) * np.float32(height)
        rows[i, 2] = (head[i, 0] + half_w) * np.float32(width)
        rows[i, 3] = (head[i, 1] + half_h) * np.float32(height)
        rows[i, 4] = head[i, 4]
        rows[i, 5] = head[i, 5]
    return rows


@kernel
def pairs(
    boxes: F32, scores: F32, allowed: Mask, confidence: float, width: int, height: int, logits: bool
) -> tuple[F32, I64, int]:
    """Boxes (Q, 4) and a score or logit per class (Q, C): every pair of query and class above the threshold.

    The score of a logit is its sigmoid; one query can be several objects, as published for Deformable DETR
    (https://arxiv.org/abs/2010.04159), RT-DETR and RF-DETR, which take the best pairs of all. `allowed` says which of
    the first classes count: what is behind them (a slot for "nothing") never does.

    Nearly all scores are far below the threshold: each is compared once, as a logit, and only rows with something
    above it are looked at again. 0.01 ms for 300 x 91.
    """
    queries, classes = boxes.shape[0], min(len(allowed), scores.shape[1])
    floor = np.float32(confidence)
    bar = floor
    if logits:
        bar = np.float32(-np.inf if confidence <= 0 else np.inf if confidence >= 1 else 0)
        if bar == 0:
            bar = np.float32(math.log(confidence / (1 - confidence)) - SLACK)
    places = np.empty(queries * classes, np.int64)
    labels = np.empty(queries * classes, np.int64)
    count = 0
    end = np.float32(np.inf)
    for q in range(queries):
        hit = False
        broken = False
        for c in range(classes):
            hit |= scores[q, c] > bar
            broken |= not scores[q, c] < end  # NaN, and infinity: an overflow of half precision
        if broken:
            return np.empty((6, 0), np.float32), places[:0], NAN
        if hit:
            for c in range(classes):
                if scores[q, c] > bar and allowed[c]:
                    places[count] = q
                    labels[count] = c
                    count += 1
    candidates = np.empty((6, count), np.float32)
    found = 0
    sound = True
    for k in range(count):
        q = places[k]
        value = np.float64(scores[q, labels[k]])
        score = float(np.float32(1 / (1 + math.exp(min(-value, 700.0))) if logits else value))
        if score > floor:
            places[found] = q
            sound &= _put(candidates, found, boxes, q, width, height, score, labels[k])
            found += 1
    return candidates[:, :found].copy(), places[:found].copy(), OK if sound else NAN


@kernel
def exclusive(
    boxes: F32, logits: F32, allowed: Mask, confidence: float, width: int, height: int
) -> tuple[F32, I64, int]:
    """Boxes (Q, 4) and logits (Q, C + 1), the last for "no object": the softmax of each query's best class.

    As published for DETR (https://arxiv.org/abs/2005.12872): the best class of a query, without the last, decides, and
    only then whether it is wanted.
    """
    queries, classes = logits.shape[0], logits.shape[1] - 1
    floor = np.float32(confidence)
    candidates = np.empty((6, queries), np.float32)
    places = np.empty(queries, np.int64)
    found = 0
    sound = True
    end = np.float32(np.inf)
    for q in range(queries):
        broken = False
        for c in range(classes + 1):
            broken |= not logits[q, c] < end
        if broken:
            return np.empty((6, 0), np.float32), places[:0], NAN
        label = 0
        for c in range(1, classes):
            if logits[q, c] > logits[q, label]:
                label = c
        best = np.float64(logits[q, label])
        if best == -np.inf:
            continue
        # Most queries are "no object", and these two alone show it: spares the exponentials of all others.
        total = 1 + math.exp(min(np.float64(logits[q, classes]) - best, 700.0))
        if np.float32(1 / total) > floor:
            for c in range(classes):
                if c != label:
                    total += math.exp(np.float64(logits[q, c]) - best)
            score = float(np.float32(1 / total))
            if score > floor and label < len(allowed) and allowed[label]:
                places[found] = q
                sound &= _put(candidates, found, boxes, q, width, height, score, label)
                found += 1
    return candidates[:, :found].copy(), places[:found].copy(), OK if sound else NAN


@kernel
def _put(
    candidates: F32, k: int, boxes: F32, q: int, width: int, height: int, score: float, label: int
) -> bool:  # fmt: skip
    wide, high = np.float32(width), np.float32(height)
    return put(
        candidates, k, boxes[q, 0] * wide, boxes[q, 1] * high, boxes[q, 2] * wide, boxes[q, 3] * high, score, label
    )


@kernel
def _span(first: int, last: int, size: int, cells: int, inverse: float, start: float, end: int) -> tuple[int, int]:
    """The source pixels, from..to, that cells first..last of an axis can reach: a cell's sample lies in its middle and
    is blended with its neighbours'."""
    low = ((first - 0.5) * size / cells - start) * inverse
    high = ((last + 1.5) * size / cells - start) * inverse
    return min(max(math.floor(low), 0), end), min(max(math.ceil(high), 0), end)


@kernel
def masks(
    logits: F32, chosen: I64, inverse: F64, input_width: int, input_height: int, width: int, height: int, accurate: bool
) -> tuple[U8, I64, I32, F64]:
    """One whole map per query (Q, h, w), positive where the object is -> crops of the chosen ones around what is
    positive: `bits`, `starts`, `sizes` and `extents` as in `predictions.masks.Masks`.

    `accurate`: at the pixels of the source picture (width x height), the logits interpolated linearly between the
    middles of their cells and continued at the border, as published for RF-DETR (bilinear, align_corners=False, > 0).
    Else the cells themselves. `inverse` is `Letterbox.inverse`. Logits that are not numbers are not positive.
    """
    n = len(chosen)
    _, down, across = logits.shape
    starts = np.zeros(n, np.int64)
    sizes = np.zeros((n, 2), np.int32)
    extents = np.zeros((n, 4), np.float64)
    spans = np.zeros((n, 4), np.int64)  # left, top, right, bottom, in cells or pixels
    total = np.int64(0)
    for k in range(n):
        top, bottom, left, right = down, -1, across, -1
        for y in range(down):
            for x in range(across):
                if logits[chosen[k], y, x] > 0:
                    top, bottom = min(top, y), max(bottom, y)
                    left, right = min(left, x), max(right, x)
        starts[k] = total
        if bottom < 0:
            continue
        if accurate:
            spans[k, 0], spans[k, 2] = _span(left, right, input_width, across, inverse[0], inverse[2], width)
            spans[k, 1], spans[k, 3] = _span(top, bottom, input_height, down, inverse[1], inverse[3], height)
            for side in range(4):
                extents[k, side] = spans[k, side]
        else:
            spans[k, 0], spans[k, 1], spans[k, 2], spans[k, 3] = left, top, right + 1, bottom + 1
            for side in range(4):
                extent = (input_height / down) if side % 2 else (input_width / across)
                extents[k, side] = (spans[k, side] * extent - inverse[2 + side % 2]) * inverse[side % 2]
        sizes[k, 0] = spans[k, 3] - spans[k, 1]
        sizes[k, 1] = spans[k, 2] - spans[k, 0]
        total += np.int64(sizes[k, 0]) * np.int64(sizes[k, 1])
    bits = np.empty(total, np.uint8)

    cells = np.empty(width, np.int64)  # of each pixel of a row: the cell at its left, and how far it is from it
    parts = np.empty(width, np.float32)
    for x in range(width if accurate else 0):
        place = ((x + 0.5) / inverse[0] + inverse[2]) * across / input_width - 0.5
        place = min(max(place, 0.0), across - 1.0)
        cells[x] = min(np.int64(place), max(across - 2, 0))
        parts[x] = np.float32(place - cells[x])
    row = np.empty(across + 1, np.float32)
    step = np.int64(1 if across > 1 else 0)
    for k in range(n):
        at = np.int64(starts[k])
        q = np.int64(chosen[k])
        left, right = spans[k, 0], spans[k, 2]
        if left >= right:  # nothing, or in the letterbox's border, where the picture has no pixel
            continue
        for y in range(spans[k, 1], spans[k, 3]):
            if accurate:
                place = ((y + 0.5) / inverse[1] + inverse[3]) * down / input_height - 0.5
                place = min(max(place, 0.0), down - 1.0)
                above = min(np.int64(place), max(down - 2, 0))
                below = min(above + 1, down - 1)
                part = np.float32(place - above)
                for x in range(cells[left], min(cells[right - 1] + 2, across)):
                    row[x] = logits[q, above, x] * (np.float32(1) - part) + logits[q, below, x] * part
                for x in range(left, right):
                    cell = cells[x]
                    value = row[cell] * (np.float32(1) - parts[x]) + row[cell + step] * parts[x]
                    bits[at] = value > 0
                    at += 1
            else:
                for x in range(left, right):
                    bits[at] = logits[q, y, x] > 0
                    at += 1
    return bits, starts, sizes, extents
