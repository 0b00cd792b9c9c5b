"""Heads with a table of scores, one row per place and one column per class, and boxes in a table of their own.

As in `kernels/heads.py`: tables are float32, C-contiguous and read-only, candidates are (6, n) with corners in pixels
of the model input, `allowed` says how many classes there are and which may appear, the best class of a place decides.
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

PLAIN, SIGMOID, SOFTMAX = 0, 1, 2
"""What scores still need: nothing, a sigmoid each, a softmax over all columns."""


@kernel
def best(table: F32, column: int, allowed: Mask, floor: np.float32) -> tuple[I64, I32, int]:
    """(n,) rows of a (N, columns) table whose best class is above `floor` and wanted, (n,) classes, and the state.

    Classes begin at `column`. The first look asks only "is any above, or not a number?", which becomes vector code;
    which one it was is asked of the few rows that answer yes.
    """
    n = table.shape[0]
    classes = len(allowed)
    places = np.empty(n, np.int64)
    labels = np.empty(n, np.int32)
    found = 0
    for i in range(n):
        scores = table[i, column : column + classes]
        hit = False
        for c in range(classes):
            hit |= not (scores[c] <= floor)
        if hit:
            label = 0
            for c in range(classes):
                if np.isnan(scores[c]):
                    return places[:0], labels[:0], NAN
                if scores[c] > scores[label]:
                    label = c
            if not np.isfinite(scores[label]):
                return places[:0], labels[:0], NAN
            if allowed[label]:
                places[found] = i
                labels[found] = label
                found += 1
    return places[:found].copy(), labels[:found].copy(), OK


@kernel
def probable(table: F32, column: int, kind: int, allowed: Mask, confidence: float) -> tuple[I64, I32, F32, int]:
    """The same by probability: (n,) rows, (n,) classes, (n,) probabilities above `confidence`, and the state.

    Logits are compared as logits: a sigmoid is above c where the logit is above log(c / (1 - c)); in a softmax whose
    column 0 is the background, a class can be above c only where it is that much above the background, so exponentials
    are taken of those rows alone. With `SOFTMAX` classes begin at column 1.
    """
    n = table.shape[0]
    floor = np.float32(confidence)
    odds = np.float32(np.log(confidence / (1 - confidence)))
    if kind != SOFTMAX:
        places, labels, state = best(table, column, allowed, floor if kind == PLAIN else odds)
        values = np.empty(len(places), np.float32)
        for k in range(len(places)):
            value = table[places[k], column + labels[k]]
            values[k] = value if kind == PLAIN else np.float32(1) / (np.float32(1) + np.exp(-value))
        return places, labels, values, state
    places = np.empty(n, np.int64)
    labels = np.empty(n, np.int32)
    values = np.empty(n, np.float32)
    found = 0
    for i in range(n):
        row = table[i, : 1 + len(allowed)]
        bar = row[0] + odds
        hit = False
        for c in range(1, len(row)):
            hit |= not (row[c] <= bar)
        if hit:
            label = 1
            for c in range(1, len(row)):
                label = c if row[c] > row[label] else label
            total = np.float32(0)
            for c in range(len(row)):
                total += np.exp(row[c] - row[label])
            value = np.float32(1) / total
            if np.isnan(value):
                return places[:0], labels[:0], values[:0], NAN
            if value > floor and allowed[label - 1]:
                places[found] = i
                labels[found] = label - 1
                values[found] = value
                found += 1
    return places[:found].copy(), labels[:found].copy(), values[:found].copy(), OK


@kernel
def boxed(
    boxes: F32, table: F32, column: int, allowed: Mask, confidence: float, across: float, down: float
) -> tuple[F32, int]:
    """(N, 4) finished corners x1, y1, x2, y2 beside a table of scores; corners times (across, down) are pixels."""
    places, labels, state = best(table, column, allowed, np.float32(confidence))
    candidates = np.empty((6, len(places)), np.float32)
    for k in range(len(places)):
        for side in range(4):
            value = boxes[places[k], side] * np.float32(down if side % 2 else across)
            candidates[side, k] = value
            if np.isnan(value):
                state = NAN
        candidates[4, k] = table[places[k], column + labels[k]]
        candidates[5, k] = labels[k]
    return candidates, state
