"""Boxes told as corrections of anchors, the boxes that a network was trained to correct."""

import numpy as np

from vidette.kernels._jit import kernel
from vidette.kernels.heads import NAN, OK, put
from vidette.kernels.scores import F32, F64, Mask, probable


@kernel
def anchored(
    deltas: F32,
    table: F32,
    column: int,
    kind: int,
    anchors: F64,
    upright: bool,
    width: int,
    height: int,
    allowed: Mask,
    confidence: float,
) -> tuple[F32, int]:
    """SSD: corrections (N, 4) of anchors (N, 4) beside scores; `kind` and `column` as in `probable`.

    Anchors are centre x, centre y, width, height as parts of the input. With (x, y, w, h) a correction and the
    variances 0.1 and 0.2 of the published code (https://arxiv.org/abs/1512.02325, its `prior_box` and `bbox_util`):
    centre = anchor centre + 0.1 * x * anchor width, width = anchor width * exp(0.2 * w), the same down. `upright` says
    that corrections come as (y, x, h, w), as TensorFlow has them. A width is at most 1000 / 16 anchors, as torchvision
    has it.
    """
    places, labels, values, state = probable(table, column, kind, allowed, confidence)
    candidates = np.empty((6, len(places)), np.float32)
    most = np.log(1000 / 16)
    for k in range(len(places)):
        i = places[k]
        first = 1 if upright else 0
        x = anchors[i, 0] + 0.1 * deltas[i, first] * anchors[i, 2]
        y = anchors[i, 1] + 0.1 * deltas[i, 1 - first] * anchors[i, 3]
        w = anchors[i, 2] * np.exp(min(0.2 * deltas[i, 2 + first], most))
        h = anchors[i, 3] * np.exp(min(0.2 * deltas[i, 3 - first], most))
        put(candidates, k, x * width, y * height, w * width, h * height, values[k], labels[k])
        for side in range(4):  # asked of the corrections: a minimum can lose a NaN
            if np.isnan(deltas[i, side]):
                state = NAN
    return candidates, state


@kernel
def cells(maps: F32, allowed: Mask, confidence: float, width: int, height: int) -> tuple[F32, int]:
    """FastestDet's maps (5 + C, h, w): objectness, x, y, w, h, a score per class; one box per cell of the grid.

    score = objectness ** 0.6 * class ** 0.4, centre = (cell + tanh(xy)) / grid, size = sigmoid(wh), as parts of the
    input (https://github.com/dog-qiuqiu/FastestDet, example/onnx-runtime and example/ncnn).
    """
    _, down, across = maps.shape
    floor = np.float32(confidence)
    candidates = np.empty((6, down * across), np.float32)
    found = 0
    sound = True
    for cy in range(down):
        for cx in range(across):
            label = 0
            for c in range(len(allowed)):
                sound &= not np.isnan(maps[5 + c, cy, cx])
                label = c if maps[5 + c, cy, cx] > maps[5 + label, cy, cx] else label
            objectness, likely = maps[0, cy, cx], maps[5 + label, cy, cx]
            score = max(objectness, 0) ** 0.6 * max(likely, 0) ** 0.4
            sound &= not np.isnan(objectness)
            if np.float32(score) > floor and allowed[label]:
                x = (cx + np.tanh(maps[1, cy, cx])) / across * width
                y = (cy + np.tanh(maps[2, cy, cx])) / down * height
                w = width / (1 + np.exp(-maps[3, cy, cx]))
                h = height / (1 + np.exp(-maps[4, cy, cx]))
                sound &= put(candidates, found, x, y, w, h, score, label)
                found += 1
    return candidates[:, :found].copy(), OK if sound else NAN
