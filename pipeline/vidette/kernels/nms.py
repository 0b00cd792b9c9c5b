"""Greedy non-maximum suppression, and the way of its survivors back to the source picture.

All kernels take candidates as one (6, n) float32 array, a row per quantity so that inner loops read neighbours:
x1, y1, x2, y2 in pixels of the model input, score (positive, finite), class (a whole number below 2**24). They come in
any order. Costs: benchmarks/results/kernels.json.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Scalar = np.float32

VECTOR = 16  # float32 numbers in the widest vector register (AVX-512)
BLOCK = 32 * VECTOR  # kept boxes compared between two looks at "is it already suppressed?"


@kernel
def rank(candidates: F32) -> npt.NDArray[np.int64]:
    """(n,) positions best first; equal scores keep their order.

    Positive floats order like their bits, so score and position pack into one integer and the sort needs neither a
    comparison function nor stability.
    """
    n = candidates.shape[1]
    bits = candidates[4].view(np.uint32)
    keys = np.empty(n, np.uint64)
    for i in range(n):
        keys[i] = (np.uint64(0xFFFFFFFF - bits[i]) << np.uint64(32)) | np.uint64(i)
    keys.sort()
    order = np.empty(n, np.int64)
    for i in range(n):
        order[i] = np.int64(keys[i] & np.uint64(0xFFFFFFFF))
    return order


@kernel
def overlaps(
    packed: F32, first: np.uint64, last: np.uint64,
    left: Scalar, top: Scalar, right: Scalar, bottom: Scalar, area: Scalar, limit: Scalar,
) -> bool:  # fmt: skip
    """Whether any of the boxes first..last of `packed` shares more than `limit` of the union with the one box.

    Without branches, so that it becomes vector code: the division of the definition is multiplied out, and only the
    width is held at 0, because a negative height makes the product negative, which is not above anything. Positions are
    unsigned, because numba asks signed ones whether they count from the end; slices would cost more than the loop.
    """
    hit = False
    for k in range(first, last):
        w = max(min(packed[2, k], right) - max(packed[0, k], left), np.float32(0))
        h = min(packed[3, k], bottom) - max(packed[1, k], top)
        shared = w * h
        hit |= shared > limit * (packed[4, k] + area - shared)
    return hit


@kernel
def stretches(
    candidates: F32, order: npt.NDArray[np.int64], agnostic: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Room for each class by itself: (n,) class of each candidate of `order`, all 0 when `agnostic`; (classes + 1,)
    where the stretch of each begins, when every class has a stretch as long as it has candidates."""
    classes = np.zeros(len(order), np.int64)
    count = 1
    if not agnostic:
        for r in range(len(order)):
            classes[r] = np.int64(candidates[5, order[r]])
            count = max(count, classes[r] + 1)
    starts = np.zeros(count + 1, np.int64)
    for r in range(len(order)):
        starts[classes[r] + 1] += 1
    for c in range(count):
        starts[c + 1] += starts[c]
    return classes, starts


@kernel
def suppress(
    candidates: F32, iou: float, agnostic: bool, max_detections: int, max_candidates: int
) -> npt.NDArray[np.int64]:
    """Positions of the candidates that stay, best first, at most `max_detections`.

    A candidate goes when its intersection over union with a better one that stays, of the same class unless
    `agnostic`, is above `iou` (equal stays; 1 or more suppresses nothing). Only the `max_candidates` best take part.
    Boxes without area, turned inside out or with coordinates that are not numbers neither suppress nor go.
    """
    order = rank(candidates)
    n = min(len(order), max_candidates)
    if iou >= 1:
        return order[: min(n, max_detections)]

    # Stable counting sort by class: each class is one contiguous segment, best first, and boxes of different classes
    # are never compared.
    classes, ends = stretches(candidates, order[:n], agnostic)
    count = len(ends) - 1
    segment = np.empty(n, np.int64)
    place = ends[:count].copy()
    for r in range(n):
        segment[place[classes[r]]] = r
        place[classes[r]] += 1

    # The boxes that stay, packed; a class has at most as many as candidates, so each starts at its segment's start.
    # Places not used yet hold boxes without area, which overlap nothing: rounding up to whole vectors reads only those.
    packed = np.zeros((5, n + VECTOR), np.float32)
    stays = np.zeros(n, np.bool_)
    zero = np.float32(0)
    limit = np.float32(iou)
    for c in range(count):
        start = ends[c]
        kept = start
        for s in range(start, ends[c + 1]):
            if kept - start == max_detections:
                break
            r = segment[s]
            i = order[r]
            left, top, right, bottom = candidates[0, i], candidates[1, i], candidates[2, i], candidates[3, i]
            area = max(right - left, zero) * max(bottom - top, zero)
            end = start + (kept - start + VECTOR - 1) // VECTOR * VECTOR
            hit = False
            for block in range(start, end, BLOCK):
                last = np.uint64(min(block + BLOCK, end))
                hit = overlaps(packed, np.uint64(block), last, left, top, right, bottom, area, limit)
                if hit:
                    break
            if not hit:
                packed[0, kept], packed[1, kept] = left, top
                packed[2, kept], packed[3, kept] = right, bottom
                packed[4, kept] = area
                kept += 1
                stays[r] = True

    result = np.empty(min(n, max_detections), np.int64)
    found = 0
    for r in range(n):
        if found == len(result):
            break
        if stays[r]:
            result[found] = order[r]
            found += 1
    return result[:found]


@kernel
def finish(
    candidates: F32,
    inverse: F64,
    width: int,
    height: int,
    iou: float,
    agnostic: bool,
    max_detections: int,
    max_candidates: int,
) -> tuple[F32, F32, I32, npt.NDArray[np.int64]]:
    """Suppress, map to the source picture and clip: (k, 4) xyxy, (k,) confidence, (k,) class, (k,) position.

    `inverse` is `Letterbox.inverse`; width and height are those of the source picture.
    """
    chosen = suppress(candidates, iou, agnostic, max_detections, max_candidates)
    xyxy = np.empty((len(chosen), 4), np.float32)
    confidence = np.empty(len(chosen), np.float32)
    class_id = np.empty(len(chosen), np.int32)
    for k in range(len(chosen)):
        i = chosen[k]
        for axis in range(2):
            end = np.float64(height if axis else width)
            low = (np.float64(candidates[axis, i]) - inverse[2 + axis]) * inverse[axis]
            high = (np.float64(candidates[2 + axis, i]) - inverse[2 + axis]) * inverse[axis]
            xyxy[k, axis] = min(max(min(low, high), 0.0), end)  # YOLO26 can return corners the wrong way round
            xyxy[k, 2 + axis] = min(max(max(low, high), 0.0), end)
        confidence[k] = candidates[4, i]
        class_id[k] = np.int32(candidates[5, i])
    return xyxy, confidence, class_id, chosen
