"""Coefficients x prototypes -> one binary crop per object, computed inside its box only.

The mask of an object is where the sum of all prototypes, each times the object's coefficient, is above 0 (YOLACT,
https://arxiv.org/abs/1904.02689, without its sigmoid, which is 0.5 at 0). Prototypes lie over the whole model input,
one cell for every few pixels of it.

`accurate` follows Ultralytics' post-processing at the picture's own size (`process_mask_native`, 8.4): the sums are
scaled up by a whole factor, just enough that the picture begins and ends between two cells, what lies on padding is cut
away, and the rest is scaled to the picture's size, both times bilinearly with borders repeated; a pixel belongs to the
box when its index is at or after the left side and before the right one. Both steps together weigh at most three
neighbouring cells along each axis, so they are done as one, row by row; the scaled map never exists as a whole.
"""

import math

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

MOST = 1 << 25  # samples of one picture at source resolution: 16 objects that fill 1080p
BLOCK = 64  # pixels at a time: bytes of the widest vector register


@kernel
def finer(covered: I64, cell: float) -> int:
    """The smallest whole factor by which cells must become finer for the picture to begin and end between two."""
    common = int(cell)
    if common != cell:
        return 1
    for edge in covered:
        common = math.gcd(common, edge)
    return int(cell) // common


@kernel
def taps(
    size: int, gain: float, offset: float, low: int, high: int, cell: float, cells: int, factor: int
) -> tuple[I64, F32]:
    """For each of `size` pixels the first of three neighbouring cells, and the weights of the three, (3, size).

    A coordinate x of the picture is at x / gain + offset in the model input, low..high is what the picture covers
    there; `cells` cells of `cell` input pixels lie over the input, and are made finer by `factor` first.
    """
    firsts = np.empty(size, np.int64)
    weights = np.zeros((3, size), np.float32)
    step = cell / factor
    first_cell = max(int(np.floor(low / step)), 0)
    last_cell = max(min(int(np.ceil(high / step)), factor * cells) - 1, first_cell)
    for x in range(size):
        place = ((x + 0.5) / gain + offset) / step - 0.5
        place = min(max(place, float(first_cell)), float(last_cell))
        near = int(place)
        firsts[x] = -1
        for side in range(2):
            share = place - near if side else 1 - (place - near)
            scaled = (min(near + side, last_cell) + 0.5) / factor - 0.5
            scaled = min(max(scaled, 0.0), cells - 1.0)
            index = int(scaled)
            if firsts[x] < 0:
                firsts[x] = max(min(index, cells - 3), 0)
            k = index - firsts[x]
            part = scaled - index
            weights[k, x] += np.float32(share * (1 - part))
            if part > 0:
                weights[k + 1, x] += np.float32(share * part)
    return firsts, weights


@kernel
def span(low: float, high: float, count: int, one: bool) -> tuple[int, int]:
    """First and last + 1 of the samples that a side of a box has; with `one` at least one where it has a length."""
    first, last = int(np.ceil(low)), int(np.ceil(high))
    if one and first >= last and high > low:
        first = int(np.floor(low))
        last = first + 1
    return min(max(first, 0), count), min(max(last, 0), count)


@kernel
def sums(
    out: F32, coefficients: F32, i: int, prototypes: F32, row: int, first: np.uint64, last: np.uint64
) -> bool:  # fmt: skip
    """Object i's sum for the cells first..last of one row into `out`, from its start; whether all are finite.

    Four prototypes at a time, because adding to `out` costs more than the product. Positions are unsigned, because
    numba asks signed ones whether they count from the end.
    """
    channels = len(coefficients[i])
    width = last - first
    for c in range(width):
        out[c] = np.float32(0)
    whole = channels // 4 * 4
    for k in range(0, whole, 4):
        a, b = coefficients[i, k], coefficients[i, k + 1]
        c, d = coefficients[i, k + 2], coefficients[i, k + 3]
        for j in range(width):
            p = first + j
            out[j] += (a * prototypes[k, row, p] + b * prototypes[k + 1, row, p]) + (
                c * prototypes[k + 2, row, p] + d * prototypes[k + 3, row, p]
            )
    for k in range(whole, channels):
        a = coefficients[i, k]
        for j in range(width):
            out[j] += a * prototypes[k, row, first + j]
    sound = True
    for j in range(width):
        sound &= out[j] - out[j] == 0
    return sound


@kernel
def stretch(
    rows: F32, start: np.uint64, cells: F32, firsts: I64, weights: F32, left: np.uint64, right: np.uint64, first: int
) -> None:
    """One row of sums, `cells` from cell `first` on, at the pixels left..right, into `rows` from `start` on.

    Weights sum to 1. Without a third one (`weights` (2, size)) it takes half the time.
    """
    for x in range(left, right):
        j = np.uint64(firsts[x] - first)
        rows[start + (x - left)] = cells[j] + weights[1, x] * (cells[j + np.uint64(1)] - cells[j])
    if len(weights) == 3:
        for x in range(left, right):
            j = np.uint64(firsts[x] - first)
            rows[start + (x - left)] += weights[2, x] * (cells[j + np.uint64(2)] - cells[j])


@kernel
def above(
    bits: U8, start: np.uint64, rows: F32, one: np.uint64, two: np.uint64, three: np.uint64,
    w1: np.float32, w2: np.float32, w3: np.float32, count: np.uint64,
) -> None:  # fmt: skip
    """Whether the weighted sum of three rows, which begin in `rows` at these places, is above 0, into `bits`.

    Whole blocks are written, which go up to `BLOCK` - 1 beyond the row: a loop of fixed length is all vector code,
    while what remains of a vector takes longer than 200 pixels.
    """
    zero = np.float32(0)
    if w3 == zero:
        for block in range(np.uint64(0), count, np.uint64(BLOCK)):
            for x in range(block, block + np.uint64(BLOCK)):
                bits[start + x] = w1 * rows[one + x] + w2 * rows[two + x] > zero
    else:
        for block in range(np.uint64(0), count, np.uint64(BLOCK)):
            for x in range(block, block + np.uint64(BLOCK)):
                bits[start + x] = w1 * rows[one + x] + w2 * rows[two + x] + w3 * rows[three + x] > zero


@kernel
def occupied(bits: U8, start: int, end: int) -> bool:
    """Whether any of bits[start:end] is set; looks first where objects are, in the middle."""
    middle = (start + end) // 2
    for place in range(middle, end):
        if bits[place]:
            return True
    for place in range(start, middle):  # noqa: SIM110 numba knows no any() of a generator
        if bits[place]:
            return True
    return False


@kernel
def assemble(
    coefficients: F32,
    prototypes: F32,
    xyxy: F32,
    inverse: F64,
    covered: I64,
    size: I64,
    width: int,
    height: int,
    accurate: bool,
) -> tuple[U8, I64, I32, F64, npt.NDArray[np.bool_], int]:
    """Masks of all objects of one picture, as `Masks` keeps them, which of them are not empty, and the state.

    coefficients  (n, K) float32, C-contiguous
    prototypes    (K, h, w) float32, C-contiguous, read-only (`heads.readable`)
    xyxy          (n, 4) float32, boxes in pixels of the source picture
    inverse       `Letterbox.inverse`; `width`, `height` are those of the source picture
    covered       (4,) left, top, right, bottom of the scaled picture in the model input
    size          (2,) width and height of the model input
    accurate      one sample per pixel of the picture, else one per cell; objects for which more than `MOST` samples
                  would be needed get one per cell, from the first that does not fit; with cells a box that lies between
                  two of them gets the one in which it begins

    Returns (bits, starts, sizes, extents, found, state), the state `NAN` when a sum inside a box is not finite.
    """
    n, (_, down, across) = len(xyxy), prototypes.shape
    starts = np.empty(n, np.int64)
    sizes = np.empty((n, 2), np.int32)
    extents = np.empty((n, 4), np.float64)
    found = np.zeros(n, np.bool_)
    cell_x, cell_y = size[0] / across, size[1] / down
    spans = np.empty((n, 4), np.int64)
    fine = np.zeros(n, np.bool_)
    total = 0
    for i in range(n):
        fine[i] = accurate
        for axis in range(2):
            spans[i, axis], spans[i, 2 + axis] = span(
                xyxy[i, axis], xyxy[i, 2 + axis], height if axis else width, False
            )
        if accurate and total + (spans[i, 2] - spans[i, 0]) * (spans[i, 3] - spans[i, 1]) > MOST:
            accurate = False
            fine[i] = False
        for axis in range(2):
            gain, offset, cell = inverse[axis], inverse[2 + axis], cell_y if axis else cell_x
            if not fine[i]:
                low, high = (xyxy[i, axis] / gain + offset) / cell, (xyxy[i, 2 + axis] / gain + offset) / cell
                spans[i, axis], spans[i, 2 + axis] = span(low, high, down if axis else across, True)
            for side in (axis, 2 + axis):
                extents[i, side] = spans[i, side] if fine[i] else (spans[i, side] * cell - offset) * gain
            sizes[i, 1 - axis] = spans[i, 2 + axis] - spans[i, axis]
        starts[i] = total
        total += int(sizes[i, 0]) * int(sizes[i, 1])
    bits = np.empty(total + BLOCK, np.uint8)  # the last row may be written beyond its end
    left, top, right, bottom = covered
    factor = finer(covered, cell_x) if cell_x == cell_y else 1
    wide, high = (width, height) if fine.any() else (0, 0)
    firsts_x, weights_x = taps(wide, inverse[0], inverse[2], left, right, cell_x, across, factor)
    firsts_y, weights_y = taps(high, inverse[1], inverse[3], top, bottom, cell_y, down, factor)
    if not weights_x[2].any():
        weights_x = weights_x[:2]
    cells = np.zeros(across + 3, np.float32)
    pitch = width + BLOCK
    rows = np.zeros(4 * pitch, np.float32)
    for i in range(n):
        left, top, right, bottom = spans[i]
        if right <= left or bottom <= top:
            continue
        if fine[i]:
            first = int(firsts_x[left])
            last = min(int(firsts_x[right - 1]) + 3, across)
            ready = 0
            for y in range(top, bottom):
                base = int(firsts_y[y])
                ready = max(ready, base)
                while ready < min(base + (3 if weights_y[2, y] else 2), down):
                    if not sums(cells, coefficients, i, prototypes, ready, np.uint64(first), np.uint64(last)):
                        return bits[:total], starts, sizes, extents, found, NAN
                    stretch(
                        rows, np.uint64(ready % 4 * pitch), cells, firsts_x, weights_x,
                        np.uint64(left), np.uint64(right), first,
                    )  # fmt: skip
                    ready += 1
                above(
                    bits, np.uint64(starts[i] + (y - top) * (right - left)),
                    rows, np.uint64(base % 4 * pitch), np.uint64((base + 1) % 4 * pitch),
                    np.uint64((base + 2) % 4 * pitch),
                    weights_y[0, y], weights_y[1, y], weights_y[2, y], np.uint64(right - left),
                )  # fmt: skip
        else:
            for y in range(top, bottom):
                if not sums(cells, coefficients, i, prototypes, y, np.uint64(left), np.uint64(right)):
                    return bits[:total], starts, sizes, extents, found, NAN
                for x in range(right - left):
                    bits[starts[i] + (y - top) * (right - left) + x] = cells[x] > 0
        found[i] = occupied(bits, starts[i], starts[i] + (bottom - top) * (right - left))
    return bits[:total], starts, sizes, extents, found, OK
