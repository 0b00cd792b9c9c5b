"""From the maps that a detection head ends with to candidates: what most graphs do for all places, for the few above
the threshold.

Boxes are distances from the middle of a cell to their four sides, in cells, each the mean of a distribution over whole
numbers (Generalized Focal Loss, https://arxiv.org/abs/2006.04388): the softmax of `bins` numbers, weighted by 0, 1, 2
and so on; with one bin the number itself. Scores are sigmoids. So Ultralytics' heads are since v8.

Numbers are taken as their bits: those of float32, or the upper half of them, which is bfloat16. numpy has no such type.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK, readable

Bits = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORES = 256  # looked at as one


def bits(array: npt.NDArray[Any]) -> Bits:
    """The same numbers as the kernels take them, C-contiguous and read-only; uint16 is bfloat16 already."""
    if array.dtype != np.uint16:
        return readable(array).view(np.uint32)
    view = np.ascontiguousarray(array)[...]
    view.flags.writeable = False
    return view


def values(array: npt.NDArray[Any]) -> F32:
    """The same numbers as numpy takes them; uint16 is bfloat16."""
    return array if array.dtype != np.uint16 else (array.astype(np.uint32) << 16).view(np.float32)


def ones_of(shape: Sequence[int], dtype: str) -> npt.NDArray[Any]:
    """Ones as a run would return them; those of uint16 are bfloat16."""
    return np.full(shape, 0x3F80 if dtype == "uint16" else 1, dtype)


@kernel
def value(number: Any, lift: np.uint32) -> np.float32:
    """A number of its bits; `lift` is 65536 for those of bfloat16, else 1 (numba would widen a shift to 64 bits)."""
    return np.uint32(np.uint32(number) * lift).view(np.float32)


@kernel
def raw(number: float) -> np.uint32:
    """The bits of a number, as float32."""
    return np.float32(number).view(np.uint32)


@kernel
def distance(numbers: Bits, first: int, bins: int, lift: np.uint32) -> float:
    """In cells, of one side of a box, whose numbers begin at `first`."""
    most = value(numbers[first], lift)
    if bins == 1:
        return float(most)
    for k in range(1, bins):
        most = max(most, value(numbers[first + k], lift))
    weights, mean = np.float32(0), np.float32(0)
    for k in range(bins):
        weight = np.exp(value(numbers[first + k], lift) - most)
        weights += weight
        mean += np.float32(k) * weight
    return float(mean / weights)


@kernel
def maps(
    boxes: tuple[Bits, ...], scores: tuple[Bits, ...], strides: I64, allowed: Mask, confidence: float
) -> tuple[F32, I64, int]:
    """Maps (h, w, 4 * bins) and (h, w, C) of one type, one pair for each stride: what `heads.columns` gives for the
    tensor that is made of them. Sides are left, top, right, bottom. Places are counted row by row, map after map.
    """
    lift = np.uint32(1 if scores[0].itemsize == 4 else 65536)
    floor = np.float32(confidence)
    # A place that is looked at again has at least this, rounding included.
    bound = np.float32(-np.inf)
    if floor > 0:
        bound = np.float32(np.log(floor / max(np.float32(1) - floor, np.float32(1e-30))) - 1e-3)
    # The least and the most of many bits say whether there is more to see, in vector code: as whole numbers they rise
    # from 0 to infinity and the NaN behind it, then from -0 down to -infinity and the other NaN.
    negative = float(min(bound, np.float32(-1e-30)))
    below, above = raw(negative) // lift + (lift > 1), raw(-np.inf) // lift
    total = 0
    for level in range(len(scores)):
        total += scores[level].shape[0] * scores[level].shape[1]
    places = np.empty(total, np.int64)
    classes = np.empty(total, np.int32)
    found = np.empty(total, np.float32)
    starts = np.zeros(len(scores) + 1, np.int64)  # candidates by level
    count, before = 0, 0
    for level in range(len(scores)):
        height, width, number = scores[level].shape
        numbers = scores[level].reshape(height * width * number)
        broken = False
        together = max(1, SCORES // number)  # places that are looked at first as one
        for start in range(0, height * width, together):
            end = min(start + together, height * width)
            least = most = numbers[start * number]
            for i in range(np.uint64(start * number), np.uint64(end * number)):
                least, most = min(least, numbers[i]), max(most, numbers[i])
            for place in range(start, end if least < below or most > above else start):
                line = numbers[place * number : (place + 1) * number]
                label, best = 0, value(line[0], lift)
                for c in range(number):
                    here = value(line[c], lift)
                    broken |= here != here
                    if here > best:
                        label, best = c, here
                if best > bound:
                    score = np.float32(1) / (np.float32(1) + np.exp(-best))
                    if score > floor and allowed[label]:
                        places[count] = before + place
                        classes[count] = label
                        found[count] = score
                        count += 1
        if broken:
            return np.empty((6, 0), np.float32), places[:0], NAN
        before += height * width
        starts[level + 1] = count
    candidates = np.empty((6, count), np.float32)
    sound = True
    before = 0
    for level in range(len(boxes)):
        height, width, number = boxes[level].shape
        sides = boxes[level].reshape(height * width, number)
        bins = number // 4
        stride = np.float32(strides[level])
        for k in range(starts[level], starts[level + 1]):
            place = places[k] - before
            x = np.float32(place % width) + np.float32(0.5)
            y = np.float32(place // width) + np.float32(0.5)
            candidates[0, k] = (x - distance(sides[place], 0, bins, lift)) * stride
            candidates[1, k] = (y - distance(sides[place], bins, bins, lift)) * stride
            candidates[2, k] = (x + distance(sides[place], 2 * bins, bins, lift)) * stride
            candidates[3, k] = (y + distance(sides[place], 3 * bins, bins, lift)) * stride
            candidates[4, k] = found[k]
            candidates[5, k] = classes[k]
            for row in range(4):
                sound &= not np.isnan(candidates[row, k])
        before += height * width
    return candidates, places[:count].copy(), OK if sound else NAN
