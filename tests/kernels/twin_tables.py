"""Twins of kernels/scores.py, distances.py and anchors.py: slow, float64, plain loops."""

import math

from tests.kernels.twin import best, corners


def probability(logits, kind):
    values = [float(v) for v in logits]
    if kind == "sigmoid":
        return [1 / (1 + math.exp(-v)) for v in values]
    if kind == "softmax":
        weights = [math.exp(v - max(values)) for v in values]
        return [w / sum(weights) for w in weights]
    return values


def chosen(table, column, kind, allowed, confidence):
    """[(row, class, score), ...]"""
    answer = []
    for i, row in enumerate(table):
        scores = probability(row[: column + len(allowed)], kind)[column:]
        label = best(scores)
        if scores[label] > confidence and allowed[label]:
            answer.append((i, label, scores[label]))
    return answer


def boxed(boxes, table, column, allowed, confidence, across, down):
    return [
        [*(float(v) * (down if side % 2 else across) for side, v in enumerate(boxes[i])), score, label]
        for i, label, score in chosen(table, column, "plain", allowed, confidence)
    ]


def points(strides, width, height):
    return [(x, y, s) for s in strides for y in range(math.ceil(height / s)) for x in range(math.ceil(width / s))]


def distances(scores, spread, column, strides, centre, clip, width, height, allowed, confidence):
    bins = (spread.shape[1] - column) // 4
    places = points(strides, width, height)
    answer = []
    for i, label, score in chosen(scores, 0, "plain", allowed, confidence):
        x, y, stride = places[i]
        reach = []
        for side in range(4):
            weights = probability(spread[i, column + side * bins : column + (side + 1) * bins], "softmax")
            reach.append(sum(k * w for k, w in enumerate(weights)))
        box = [x + centre - reach[0], y + centre - reach[1], x + centre + reach[2], y + centre + reach[3]]
        box = [v * stride for v in box]
        if clip:
            box = [min(max(v, 0), (width, height)[side % 2]) for side, v in enumerate(box)]
        answer.append([*box, score, label])
    return answer


def anchored(deltas, table, column, kind, anchors, upright, width, height, allowed, confidence):
    answer = []
    for i, label, score in chosen(table, column, kind, allowed, confidence):
        cx, cy, w, h = (float(v) for v in anchors[i])
        x, y, log_w, log_h = (float(v) for v in (deltas[i][[1, 0, 3, 2]] if upright else deltas[i]))
        wide, high = (side * math.exp(min(0.2 * v, math.log(1000 / 16))) for side, v in ((w, log_w), (h, log_h)))
        centre = cx + 0.1 * x * w, cy + 0.1 * y * h
        answer.append([*corners(centre[0] * width, centre[1] * height, wide * width, high * height), score, label])
    return answer


def cells(maps, allowed, confidence, width, height):
    _, down, across = maps.shape
    answer = []
    for y in range(down):
        for x in range(across):
            objectness, dx, dy, w, h, *scores = (float(v) for v in maps[:, y, x])
            label = best(scores)
            score = objectness**0.6 * scores[label] ** 0.4
            if score > confidence and allowed[label]:
                centre = (x + math.tanh(dx)) / across * width, (y + math.tanh(dy)) / down * height
                size = width / (1 + math.exp(-w)), height / (1 + math.exp(-h))
                answer.append([*corners(*centre, *size), score, label])
    return answer
