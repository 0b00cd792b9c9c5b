"""From raw head tensors to candidates: one kernel per layout.

Each returns (candidates, ..., state): candidates as `kernels/nms.py` wants them, (6, n) float32 with corners in pixels
of the model input, and whether the numbers can be trusted: `OK`, or `NAN` when a score is NaN or infinite or the box
of a candidate is NaN. An infinite side is kept: it ends at the border of the picture.

`allowed` is a (C,) bool mask of the classes that may appear. The best class of a place decides, and only then whether
it is wanted: a cat that looks a little like a dog is not found as a dog by somebody who asks for dogs.

Heads are float32, C-contiguous and read-only (`readable`): whatever memory a runtime hands over, there is one compiled
version of each kernel.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Candidates: TypeAlias = tuple[F32, I64, int]  # candidates, the place of each, the state

OK = 0
NAN = 1

_FLOAT = np.dtype(np.float32)

BLOCK = 8192  # places at a time: nearly whole rows, so that memory is read in the order it lies


def readable(array: npt.NDArray[Any]) -> F32:
    """The same values as C-contiguous read-only float32; copies only where the memory is something else."""
    if array.dtype is _FLOAT and array.flags.c_contiguous:  # nearly always: a third of the calls below
        view = array[...]
        view.flags.writeable = False
        return view
    view = np.ascontiguousarray(array)
    if array.dtype == np.float16:
        bits = view.view(np.uint16).reshape(-1)
        bits.flags.writeable = False
        view = widen(bits).reshape(array.shape)
    else:
        view = view.astype(np.float32)
    view.flags.writeable = False
    return view


@kernel
def widen(bits: npt.NDArray[np.uint16]) -> F32:
    """float16, given as its bits, to float32: exact for every value, NaN included.

    numpy takes 0.7 ms for a head of 84 x 5040, and 3 ms when its scores are very small; this 0.06 ms.
    """
    n = len(bits)
    values = np.empty(n, np.float32)
    wide = values.view(np.uint32)
    for i in range(n):
        magnitude = np.uint32(bits[i]) & np.uint32(0x7FFF)
        bias = np.uint32(0x38000000) if magnitude < np.uint32(0x7C00) else np.uint32(0x70000000)  # infinities, NaN
        wide[i] = (magnitude << np.uint32(13)) + bias
    for i in range(n):
        magnitude = np.uint32(bits[i]) & np.uint32(0x7FFF)
        tiny = np.float32(np.int32(magnitude)) * np.float32(2.0**-24)
        value = values[i] if magnitude >= np.uint32(0x400) else tiny
        values[i] = -value if bits[i] > np.uint16(0x7FFF) else value
    return values


@kernel
def put(candidates: F32, k: int, x: float, y: float, w: float, h: float, score: float, label: int) -> bool:
    """Write candidate `k` from its centre and size; False when its box is NaN or its score not finite."""
    half_w, half_h = np.float32(w) / np.float32(2), np.float32(h) / np.float32(2)
    candidates[0, k] = x - half_w
    candidates[1, k] = y - half_h
    candidates[2, k] = x + half_w
    candidates[3, k] = y + half_h
    candidates[4, k] = score
    candidates[5, k] = label
    for row in range(4):
        if np.isnan(candidates[row, k]):
            return False
    return bool(np.isfinite(score))


@kernel
def columns(head: F32, allowed: Mask, confidence: float) -> tuple[F32, I64, int]:
    """(4 + C + K, N): centre x, centre y, width, height in input pixels, then a score per class, then K numbers of
    another kind (keypoints, mask coefficients, an angle); Ultralytics v8 and later. `allowed` says how many classes.

    Also returns the place of each candidate, (n,), by which the caller finds the K numbers.

    Reads every score once, about 0.05 ms for 84 x 5040: the first look is a plain maximum over neighbours, which
    becomes vector code; which class it was is asked of the few places above the threshold only.
    """
    n = head.shape[1]
    rows = 4 + len(allowed)
    floor = np.float32(confidence)
    best = np.empty(BLOCK, np.float32)
    places = np.empty(n, np.int64)
    classes = np.empty(n, np.int32)
    count = 0
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        best[:] = floor
        broken = False
        for row in range(4, rows):
            values = head[row, start : start + size]
            for j in range(size):
                best[j] = values[j] if values[j] > best[j] else best[j]
                broken |= values[j] != values[j]
        if broken:
            return np.empty((6, 0), np.float32), places[:0], NAN
        for j in range(size):
            if best[j] > floor:
                row = 4
                while head[row, start + j] != best[j]:
                    row += 1
                if allowed[row - 4]:
                    places[count] = start + j
                    classes[count] = row - 4
                    count += 1
    candidates = np.empty((6, count), np.float32)
    sound = True
    for k in range(count):
        i, label = places[k], classes[k]
        sound &= put(candidates, k, head[0, i], head[1, i], head[2, i], head[3, i], head[4 + label, i], label)
    return candidates, places[:count].copy(), OK if sound else NAN


@kernel
def rows(
    head: F32, allowed: Mask, confidence: float, strides: I64, width: int, height: int
) -> tuple[F32, I64, int]:  # fmt: skip
    """(N, 5 + C + K): centre x, centre y, width, height, objectness, a score per class, K other numbers (mask
    coefficients); score = objectness * class. `allowed` says how many classes.

    Also returns the row of each candidate, (n,).

    With `strides` empty boxes are in input pixels (YOLOv5, v7). Else they are YOLOX's: one row per cell of the grids of
    these strides over a width x height input, row by row, xy in cells from the cell, wh as logarithms of cells:
    centre = (xy + cell) * stride, size = exp(wh) * stride
    (https://arxiv.org/abs/2107.08430; layout as in its ONNX demo, exported without --decode_in_inference).
    A row whose objectness alone is not above the threshold is not looked at further, as in YOLOv5.
    """
    n = head.shape[0]
    count = len(allowed)
    floor = np.float32(confidence)
    places = np.empty(n, np.int64)
    classes = np.empty(n, np.int32)
    scores = np.empty(n, np.float32)
    found = 0
    for i in range(n):
        objectness = head[i, 4]
        if np.isnan(objectness):
            return np.empty((6, 0), np.float32), places[:0], NAN
        if objectness > floor:
            label = 0
            for c in range(count):
                if np.isnan(head[i, 5 + c]):
                    return np.empty((6, 0), np.float32), places[:0], NAN
                if head[i, 5 + c] > head[i, 5 + label]:
                    label = c
            score = objectness * head[i, 5 + label]
            if score > floor and allowed[label]:
                places[found] = i
                classes[found] = label
                scores[found] = score
                found += 1
    candidates = np.empty((6, found), np.float32)
    sound = True
    level, first, across, stride = -1, 0, 0, np.float32(1)
    end = 0 if len(strides) else n
    for k in range(found):
        i = places[k]
        x, y, w, h = head[i, 0], head[i, 1], head[i, 2], head[i, 3]
        if len(strides):
            while i >= end:
                level += 1
                first = end
                across = width // strides[level]
                stride = np.float32(strides[level])
                end += across * (height // strides[level])
            cell = i - first
            x = (x + np.float32(cell % across)) * stride
            y = (y + np.float32(cell // across)) * stride
            w = np.exp(w) * stride
            h = np.exp(h) * stride
        sound &= put(candidates, k, x, y, w, h, scores[k], classes[k])
    return candidates, places[:found].copy(), OK if sound else NAN


@kernel
def objects(head: F32, allowed: Mask, others: bool, confidence: float) -> tuple[F32, I64, int]:
    """(M, 6 + K): x1, y1, x2, y2 in input pixels, score, class, K other numbers; what end-to-end heads return.

    Also returns the row of each candidate, (n,).

    `others` says whether classes beyond `allowed` may appear: such a head does not tell how many it has.
    """
    floor = np.float32(confidence)
    candidates = np.empty((6, head.shape[0]), np.float32)
    places = np.empty(head.shape[0], np.int64)
    count = 0
    for i in range(head.shape[0]):
        score = head[i, 4]
        if not np.isfinite(score):
            return candidates[:, :0].copy(), places[:0], NAN
        if score > floor:
            if not 0 <= head[i, 5] < 1 << 24:
                return candidates[:, :0].copy(), places[:0], NAN
            label = np.int64(head[i, 5])
            if allowed[label] if label < len(allowed) else others:
                for column in range(5):
                    if np.isnan(head[i, column]):
                        return candidates[:, :0].copy(), places[:0], NAN
                    candidates[column, count] = head[i, column]
                candidates[5, count] = label
                places[count] = i
                count += 1
    return candidates[:, :count].copy(), places[:count].copy(), OK


@kernel
def centres(heat: F32, size: F32, offset: F32, landmarks: F32, confidence: float, stride: int) -> tuple[F32, F32, int]:
    """CenterFace's maps (1, h, w), (2, h, w), (2, h, w), (10, h, w), y before x in each pair, one place per `stride`.

    size = exp(value) * stride, centre = (cell + offset + 0.5) * stride. The upper left corner is moved into the input,
    the lower right one is it plus the size, cut at the input's border; landmarks are fractions of the size from the
    upper left corner. (Published post-processing: https://github.com/Star-Clouds/CenterFace, and the deface package.)
    Also returns the landmarks of each candidate, (n, 5, 2) x, y in input pixels.
    """
    _, height, width = heat.shape
    floor = np.float32(confidence)
    places = np.empty(height * width, np.int64)
    count = 0
    broken = False
    for y in range(height):
        for x in range(width):
            broken |= not np.isfinite(heat[0, y, x])
            if heat[0, y, x] > floor:
                places[count] = y * width + x
                count += 1
    candidates = np.zeros((6, count), np.float32)
    points = np.empty((count, 5, 2), np.float32)
    for k in range(count):
        y, x = places[k] // width, places[k] % width
        for axis in range(2):  # 0 is x, 1 is y
            row = 1 - axis
            end = (height if axis else width) * stride
            extent = np.exp(size[row, y, x]) * stride
            centre = ((y if axis else x) + offset[row, y, x] + 0.5) * stride
            low = min(max(centre - extent / 2, 0.0), end)
            high = min(low + extent, end)
            broken |= np.isnan(centre) or np.isnan(extent)
            candidates[axis, k] = low
            candidates[2 + axis, k] = high
            for point in range(5):
                points[k, point, axis] = low + landmarks[2 * point + row, y, x] * extent
        candidates[4, k] = heat[0, y, x]
    return candidates, points, NAN if broken else OK
