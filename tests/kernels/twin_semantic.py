"""The kernels of semantic maps again, slow and obvious, in float64 and plain loops."""

import math


def winners(head, softmax, window):
    """`head` is (C, h, w) -> classes, scores, counts."""
    top, left, bottom, right = window
    classes, scores, counts = [], [], [0] * len(head)
    for y in range(top, bottom):
        classes.append([])
        scores.append([])
        for x in range(left, right):
            values = [float(plane[y, x]) for plane in head]
            best = values.index(max(values))
            share = 1 / sum(math.exp(value - values[best]) for value in values) if softmax else values[best]
            classes[-1].append(best)
            scores[-1].append(share)
            counts[best] += 1
    return classes, scores, counts


def matte(alpha, threshold, window):
    top, left, bottom, right = window
    classes = [[int(alpha[y, x] > threshold) for x in range(left, right)] for y in range(top, bottom)]
    scores = [
        [float(alpha[y, x]) if alpha[y, x] > threshold else 1 - float(alpha[y, x]) for x in range(left, right)]
        for y in range(top, bottom)
    ]
    foreground = sum(map(sum, classes))
    return classes, scores, [sum(map(len, classes)) - foreground, foreground]


def means(classes, scores, count):
    found = []
    for wanted in range(count):
        values = [
            float(s)
            for row, line in zip(classes, scores, strict=True)
            for c, s in zip(row, line, strict=True)
            if c == wanted
        ]
        found.append(sum(values) / len(values) if values else math.nan)
    return found
