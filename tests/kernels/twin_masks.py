"""Masks, polygons and run lengths again, slow and obvious: whole maps in float64, one pixel after the other."""

import math

import cv2
import numpy as np


def bilinear(length, wanted):
    """(wanted, length): scaling a line of samples, centres at halves, borders repeated."""
    matrix = np.zeros((wanted, length))
    for i in range(wanted):
        place = min(max((i + 0.5) * length / wanted - 0.5, 0.0), length - 1.0)
        near = int(place)
        matrix[i, near] += 1 - (place - near)
        matrix[i, min(near + 1, length - 1)] += place - near
    return matrix


def published(coefficients, prototypes, letterbox):
    """(n, height, width) sums at the picture's size, as Ultralytics' `process_mask_native` comes to them.

    All is scaled by the smallest factor that puts the padding between two cells, padding is cut off, the rest scaled.
    """
    _, down, across = prototypes.shape
    cell = letterbox.input_width // across
    edges = [letterbox.left, letterbox.top]
    edges += [letterbox.left + letterbox.scaled_width, letterbox.top + letterbox.scaled_height]
    factor = cell // math.gcd(cell, *edges)
    step = cell // factor
    sums = np.einsum("nk,khw->nhw", np.asarray(coefficients, float), np.asarray(prototypes, float))
    finer = np.einsum("yh,nhw,xw->nyx", bilinear(down, down * factor), sums, bilinear(across, across * factor))
    left, top, right, bottom = (edge // step for edge in edges)
    inner = finer[:, top:bottom, left:right]
    rows, columns = bilinear(bottom - top, letterbox.height), bilinear(right - left, letterbox.width)
    return np.einsum("yh,nhw,xw->nyx", rows, inner, columns)


def in_box(box, width, height):
    """(height, width): pixels with an index at or after the upper left corner and before the lower right one."""
    x, y = np.arange(width), np.arange(height)[:, None]
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])


def filled(polygons, width, height):
    """(height, width) bool: how many outlines lie around each pixel's centre, holes counted the other way."""
    around = np.zeros((height, width), int)
    for points in polygons:
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
            for y in range(height):
                if (y1 <= y + 0.5) != (y2 <= y + 0.5):
                    crossing = x1 + (y + 0.5 - y1) / (y2 - y1) * (x2 - x1)
                    around[y, np.arange(width) + 0.5 > crossing] += 1 if y2 < y1 else -1
    return around


def area(points):
    """Enclosed area: positive for outlines that run clockwise on the screen."""
    x, y = np.asarray(points, float).T
    return ((x * np.roll(y, -1)) - (np.roll(x, -1) * y)).sum() / 2


def distance(point, points):
    """From a point to the nearest side of a closed polygon."""
    best = np.inf
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        along = np.dot(b - a, b - a)
        t = min(max(np.dot(point - a, b - a) / along, 0), 1) if along else 0
        best = min(best, np.hypot(*(a + t * (b - a) - point)))
    return best


def thinned(points, tolerance):
    """Which points of a closed line, the last of which is its first, Douglas and Peucker keep."""

    def between(a, b):
        distances = [distance(points[i], points[[a, b]]) for i in range(a + 1, b)]
        if not distances or max(distances) <= tolerance:
            return []
        split = a + 1 + int(np.argmax(distances))
        return [*between(a, split), split, *between(split, b)]

    return [0, *between(0, len(points) - 1), len(points) - 1]


def parts(mask):
    """How many objects (8-connected) and holes (4-connected, not reaching the border) there are."""
    objects = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    background = np.pad(mask == 0, 1, constant_values=True).astype(np.uint8)
    return objects, cv2.connectedComponents(background, connectivity=4)[0] - 2


def decode(counts, width, height):
    """COCO's compressed run lengths -> (height, width) bool."""
    lengths, number, shift = [], 0, 0
    for character in counts:
        five = ord(character) - 48
        number |= (five & 31) << shift
        shift += 5
        if not five & 32:
            if five & 16:
                number -= 1 << shift
            lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
            number = shift = 0
    flat = np.concatenate([np.full(length, i % 2 == 1) for i, length in enumerate(lengths)])
    assert len(flat) == width * height
    assert all(length > 0 for length in lengths[1:])
    return flat.reshape(width, height).T
