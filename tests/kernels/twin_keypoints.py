"""Keypoint heads again, slow and obvious, in float64: each family's own published post-processing in plain numpy."""

import math

import numpy as np

# mmpose: codecs/utils/post_processing.py and refinement.py, codecs/simcc_label.py, msra_heatmap.py, udp_heatmap.py


def simcc(across, down, width, height):
    """(K, 3) x, y, score in input pixels; where nothing is above 0 mmpose answers (-1, -1)."""
    x, y = across.argmax(axis=1), down.argmax(axis=1)
    score = np.minimum(across.max(axis=1), down.max(axis=1))
    ratio = across.shape[1] / width, down.shape[1] / height
    return np.column_stack([x / ratio[0], y / ratio[1], score.clip(0, 1)]).astype(np.float64)


def gaussian():
    x = np.arange(-5, 6, dtype=np.float64)
    weights = np.exp(-(x**2) / (2 * 2.0**2))  # OpenCV's sigma for 11 samples: 0.3 * (5 - 1) + 0.8
    return weights / weights.sum()


def blurred(heat):
    """Blurred over 11 samples, 0 beyond the border, then brought back to its old maximum."""
    heat = heat.astype(np.float64)
    weights = gaussian()
    wide = np.pad(heat, 5)
    lines = sum(weights[i] * wide[:, i : i + heat.shape[1]] for i in range(11))
    answer = sum(weights[i] * lines[i : i + heat.shape[0]] for i in range(11))
    return answer * heat.max() / answer.max()


def heatmaps(maps, refine, width, height):
    """(K, 3) x, y, score in input pixels."""
    answer = []
    count, h, w = maps.shape
    for heat in maps.astype(np.float64):
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        x, y, score = float(column), float(row), heat.max()
        if score > 0 and refine == "quarter":
            if 1 < column < w - 1:
                x += 0.25 * np.sign(heat[row, column + 1] - heat[row, column - 1])
            if 1 < row < h - 1:
                y += 0.25 * np.sign(heat[row + 1, column] - heat[row - 1, column])
        elif score > 0 and refine == "dark" and 1 < column < w - 2 and 1 < row < h - 2:
            log = np.log(np.maximum(blurred(heat), 1e-10))
            gradient = [
                (log[row, column + 1] - log[row, column - 1]) / 2,
                (log[row + 1, column] - log[row - 1, column]) / 2,
            ]
            xx = (log[row, column + 2] - 2 * log[row, column] + log[row, column - 2]) / 4
            yy = (log[row + 2, column] - 2 * log[row, column] + log[row - 2, column]) / 4
            corners = log[row + 1, column + 1] - log[row - 1, column + 1]
            xy = (corners - log[row + 1, column - 1] + log[row - 1, column - 1]) / 4
            if xx * yy - xy**2:
                x, y = (x, y) - np.linalg.inv([[xx, xy], [xy, yy]]) @ gradient
        elif score > 0 and refine == "udp":
            log = np.pad(np.log(blurred(heat).clip(1e-3, 50)), 1, mode="edge")
            near = log[row : row + 3, column : column + 3]
            gradient = [(near[1, 2] - near[1, 0]) / 2, (near[2, 1] - near[0, 1]) / 2]
            epsilon = np.finfo(np.float32).eps
            xx = near[1, 2] - 2 * near[1, 1] + near[1, 0] + epsilon
            yy = near[2, 1] - 2 * near[1, 1] + near[0, 1] + epsilon
            xy = near[2, 2] - near[1, 2] - near[2, 1] + 2 * near[1, 1] - near[1, 0] - near[0, 1] + near[0, 0]
            x, y = (x, y) - np.linalg.inv([[xx, xy / 2], [xy / 2, yy]]) @ gradient
        edge = 1 if refine == "udp" else 0
        answer.append([x * width / (w - edge), y * height / (h - edge), min(max(score, 0), 1)])
    return np.array(answer).reshape(count, 3)


# MoveNet: the tables of its model cards


def several(head, confidence, width, height):
    """[(box, score, (17, 3) points), ...] in input pixels."""
    found = []
    for row in head.astype(np.float64):
        if row[55] > confidence:
            points = [[row[3 * k + 1] * width, row[3 * k] * height, row[3 * k + 2]] for k in range(17)]
            top, left, bottom, right = row[51:55]
            found.append(([left * width, top * height, right * width, bottom * height], row[55], points))
    return found


# Faces: [(box, score, points), ...] in input pixels, for one level


def yunet(classes, objects, boxes, landmarks, confidence, stride, across):
    found = []
    for i in range(len(classes)):
        score = math.sqrt(min(max(float(classes[i, 0]), 0), 1) * min(max(float(objects[i, 0]), 0), 1))
        if score > confidence:
            column, row = i % across, i // across
            x, y = (column + float(boxes[i, 0])) * stride, (row + float(boxes[i, 1])) * stride
            w, h = math.exp(float(boxes[i, 2])) * stride, math.exp(float(boxes[i, 3])) * stride
            points = [[(column + float(u)) * stride, (row + float(v)) * stride] for u, v in landmarks[i].reshape(-1, 2)]
            found.append(([x - w / 2, y - h / 2, x + w / 2, y + h / 2], score, points))
    return found


def scrfd(scores, boxes, landmarks, confidence, stride, across, anchors):
    found = []
    for i in range(len(scores)):
        if scores[i, 0] > confidence:
            x, y = i // anchors % across * stride, i // anchors // across * stride
            left, top, right, bottom = (float(reach) * stride for reach in boxes[i])
            points = [[x + float(u) * stride, y + float(v) * stride] for u, v in landmarks[i].reshape(-1, 2)]
            found.append(([x - left, y - top, x + right, y + bottom], float(scores[i, 0]), points))
    return found


def blazeface(logits, values, confidence, across, anchors, width, height):
    found = []
    for i in range(len(logits)):
        score = 1 / (1 + math.exp(-min(max(float(logits[i, 0]), -100), 100)))
        if score > confidence:
            x = (i // anchors % across + 0.5) / across * width
            y = (i // anchors // across + 0.5) / across * height
            dx, dy, w, h, *marks = (float(value) for value in values[i])
            points = [[x + u, y + v] for u, v in zip(marks[::2], marks[1::2], strict=True)]
            found.append(([x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2], score, points))
    return found
