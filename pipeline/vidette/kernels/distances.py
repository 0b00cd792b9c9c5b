"""Heads that tell how far a box reaches from a point to each side, each distance as a distribution.

Generalised focal loss (https://arxiv.org/abs/2006.04388): a side is `bins` numbers, its distance the expectation of
their softmax over 0, 1, ... bins - 1, in strides.
"""

import numpy as np

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN
from vidette.kernels.scores import F32, I64, Mask, best


@kernel
def expectation(values: F32) -> np.float32:
    """The mean of 0, 1, 2 ... under the softmax of `values`; NaN where they are not finite."""
    top = values[0]
    for v in values:
        top = max(top, v)
    total, mean = np.float32(0), np.float32(0)
    for i in range(len(values)):
        weight = np.exp(values[i] - top)
        total += weight
        mean += weight * np.float32(i)
    return np.float32(mean / total)


@kernel
def distances(
    scores: F32,
    spread: F32,
    column: int,
    strides: I64,
    centre: float,
    clip: bool,
    width: int,
    height: int,
    allowed: Mask,
    confidence: float,
) -> tuple[F32, int]:
    """Scores (N, C ...) and, from `column` of `spread` (N, ...), 4 * bins numbers: left, top, right, bottom.

    One row per cell of the grids of `strides` over a width x height input, row by row; a grid covers all of the input,
    so that its last cells may reach beyond. Points lie at (cell + centre) * stride. Only places above the threshold get
    their softmaxes. `clip` cuts boxes at the input before they are compared with each other.
    """
    bins = (spread.shape[1] - column) // 4
    places, labels, state = best(scores, 0, allowed, np.float32(confidence))
    candidates = np.empty((6, len(places)), np.float32)
    level, first, end, across, stride = -1, 0, 0, 1, np.float32(1)
    for k in range(len(places)):
        i = places[k]
        while i >= end:
            level += 1
            first = end
            across = -(-width // strides[level])
            stride = np.float32(strides[level])
            end += across * -(-height // strides[level])
        for side in range(4):
            cell = (i - first) // across if side % 2 else (i - first) % across
            start = column + side * bins
            reach = expectation(spread[i, start : start + bins])
            if side < 2:
                reach = -reach
            value = (np.float32(cell) + np.float32(centre) + reach) * stride
            if np.isnan(value):
                state = NAN
            if clip:
                value = min(max(value, np.float32(0)), np.float32(height if side % 2 else width))
            candidates[side, k] = value
        candidates[4, k] = scores[i, labels[k]]
        candidates[5, k] = labels[k]
    return candidates, state
