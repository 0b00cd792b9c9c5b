"""From maps over a picture to one class per sample, its score, and how often each class appears: one pass each.

All take the window top, left, bottom, right of the map (what of it lies over the picture) and return classes and
scores of the window only. Inputs are C-contiguous and read-only, float maps float32 (`heads.readable`). The state is
`heads.OK` or `heads.NAN`: a number is NaN, or the best of a sample is infinite.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.integer]
Classes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Found = tuple[F32, I64, int]


@kernel
def power(x: np.float32) -> np.float32:
    """exp(x) for x <= 0, to 1e-7 of 1: Taylor's sixth degree of x / 32, squared five times.

    Plain multiplications become vector code, calls of exp do not: a tenth of the time. Below -20 it stays at 2e-9.
    """
    t = max(x, np.float32(-20)) * np.float32(1 / 32)
    p = np.float32(1) + t * np.float32(1 / 6)
    p = np.float32(1) + t * np.float32(1 / 5) * p
    p = np.float32(1) + t * np.float32(1 / 4) * p
    p = np.float32(1) + t * np.float32(1 / 3) * p
    p = np.float32(1) + t * np.float32(1 / 2) * p
    p = np.float32(1) + t * p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    return p


@kernel
def compete(values: F32, c: int, best: F32, which: npt.NDArray[np.int32]) -> bool:
    """Class `c` takes the samples of a row where it is the best so far; whether one of its numbers is NaN."""
    broken = False
    for x in range(len(best)):
        broken |= values[x] != values[x]
        which[x] = np.int32(c) if values[x] > best[x] else which[x]
        best[x] = max(values[x], best[x])
    return broken


@kernel
def accumulate(values: F32, best: F32, total: F32) -> None:
    """Add one class's share to softmax's denominators."""
    for x in range(len(best)):
        total[x] += power(values[x] - best[x])


@kernel
def winners(head: F32, last: bool, softmax: bool, window: I64, classes: Classes) -> Found:
    """(C, h, w) maps, one per class, or (h, w, C) with `last` -> scores (rows, columns), samples of each class (C,),
    state; `classes` (rows, columns) is filled.

    The greatest number wins, of equals the first class; its softmax over the classes is the score, or the number
    itself. Goes row by row, those of (h, w, C) turned first: so all inner loops read neighbours.
    """
    top, left, bottom, right = window
    width = right - left
    count = head.shape[2] if last else head.shape[0]
    scores = np.empty((bottom - top, width), np.float32)
    counts = np.zeros(count, np.int64)
    turned = np.empty((count if last else 0, width), np.float32)
    best = np.empty(width, np.float32)
    which = np.empty(width, np.int32)
    total = np.empty(width, np.float32)
    for y in range(top, bottom):
        for x in range(width if last else 0):
            for c in range(count):
                turned[c, x] = head[y, left + x, c]
        best[:] = -np.inf
        which[:] = 0
        broken = False
        for c in range(count):
            if last:
                broken |= compete(turned[c], c, best, which)
            else:
                broken |= compete(head[c, y, left:right], c, best, which)
        for x in range(width):
            broken |= not np.isfinite(best[x])
            classes[y - top, x] = which[x]
            counts[which[x]] += 1
        if broken:
            return scores, counts, NAN
        if softmax:
            total[:] = 0
            for c in range(count):
                if last:
                    accumulate(turned[c], best, total)
                else:
                    accumulate(head[c, y, left:right], best, total)
            for x in range(width):
                best[x] = np.float32(1) / total[x]
        scores[y - top] = best
    return scores, counts, OK


@kernel
def matte(alpha: F32, threshold: float, window: I64, classes: Classes) -> Found:
    """(h, w) parts of the foreground, 0..1 -> scores, samples of background and foreground (2,), state.

    Class 1 where the part is above the threshold, else 0; the score is the part of the class that it became.
    """
    top, left, bottom, right = window
    scores = np.empty((bottom - top, right - left), np.float32)
    counts = np.zeros(2, np.int64)
    limit = np.float32(threshold)
    state = OK
    for y in range(top, bottom):
        for x in range(left, right):
            part = alpha[y, x]
            state = state if np.isfinite(part) else NAN
            inside = part > limit
            classes[y - top, x - left] = inside
            scores[y - top, x - left] = part if inside else np.float32(1) - part
            counts[1] += inside
    counts[0] = scores.size - counts[1]
    return scores, counts, state


@kernel
def tally(numbers: Numbers, window: I64, classes: Classes) -> tuple[I64, bool]:
    """(h, w) class numbers -> samples of each class, one per number that `classes` can hold, and whether all fit."""
    top, left, bottom, right = window
    counts = np.zeros(256 if classes.itemsize == 1 else 65536, np.int64)
    for y in range(top, bottom):
        for x in range(left, right):
            number = np.int64(numbers[y, x])
            if not 0 <= number < len(counts):
                return counts, False
            classes[y - top, x - left] = number
            counts[number] += 1
    return counts, True


@kernel
def means(classes: Classes, scores: F32, count: int) -> npt.NDArray[np.float64]:
    """(count,) the mean score of the samples of each class; NaN for a class without any."""
    sums = np.zeros(count)
    counts = np.zeros(count)
    for y in range(classes.shape[0]):
        for x in range(classes.shape[1]):
            if classes[y, x] < count:
                sums[classes[y, x]] += scores[y, x]
                counts[classes[y, x]] += 1
    return sums / counts


@kernel
def runs(classes: Classes, slots: I64, count: int) -> tuple[I64, I64]:
    """The run lengths of the masks of `count` classes as COCO has them, see `kernels/rle.py`: column by column, samples
    outside and inside in turn, outside first.

    `slots` has for each class number its place among the masks, or -1. Returns all lengths, mask after mask, and where
    each mask's end, (count,). One pass to count and one to write, however many classes there are.
    """
    height, width = classes.shape
    used = np.zeros(count, np.int64)
    offsets = np.zeros(count, np.int64)
    ended = np.zeros(count, np.int64)
    lengths = np.empty(0, np.int64)
    for writing in range(2):
        if writing:
            total = 0
            for k in range(count):
                offsets[k] = total
                total += used[k] + (ended[k] < height * width or not used[k])
            lengths = np.empty(total, np.int64)
            used[:] = 0
            ended[:] = 0
        slot, start = -1, 0
        for x in range(width):
            for y in range(height):
                now = slots[classes[y, x]]
                if now != slot:
                    place = x * height + y
                    if slot >= 0:
                        if writing:
                            lengths[offsets[slot] + used[slot]] = place - start
                        used[slot] += 1
                        ended[slot] = place
                    if now >= 0:
                        if writing:
                            lengths[offsets[now] + used[now]] = place - ended[now]
                        used[now] += 1
                    slot, start = now, place
        if slot >= 0:
            if writing:
                lengths[offsets[slot] + used[slot]] = height * width - start
            used[slot] += 1
            ended[slot] = height * width
    for k in range(count):
        if ended[k] < height * width or not used[k]:
            lengths[offsets[k] + used[k]] = height * width - ended[k]
            used[k] += 1
    return lengths, offsets + used
