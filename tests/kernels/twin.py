"""The kernels again, slow and obvious, in float64 and plain loops."""

import math


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if not (w > 0 and h > 0):
        return 0.0
    shared = w * h
    union = max(a[2] - a[0], 0) * max(a[3] - a[1], 0) + max(b[2] - b[0], 0) * max(b[3] - b[1], 0) - shared
    return shared / union if union > 0 else 0.0


def rank(scores):
    return sorted(range(len(scores)), key=lambda i: -scores[i])  # Python's sort is stable


def suppress(candidates, limit, agnostic, max_detections, max_candidates):
    boxes = [tuple(float(v) for v in candidates[:4, i]) for i in range(candidates.shape[1])]
    kept = []
    for i in rank([float(s) for s in candidates[4]])[:max_candidates]:
        same = [k for k in kept if agnostic or candidates[5, k] == candidates[5, i]]
        if limit >= 1 or not any(iou(boxes[k], boxes[i]) > limit for k in same):
            kept.append(i)
    return kept[:max_detections]


def close_calls(candidates, limit):
    """Whether some pair overlaps so nearly at the limit that float32 may decide otherwise."""
    boxes = [tuple(float(v) for v in candidates[:4, i]) for i in range(candidates.shape[1])]
    return any(abs(iou(a, b) - limit) < 1e-5 for n, a in enumerate(boxes) for b in boxes[:n])


def to_source(box, letterbox):
    """Corners in input pixels -> clipped corners in the source picture, left before right."""
    answer = [0.0] * 4
    for axis, (start, gain, end) in enumerate(
        (
            (letterbox.left, letterbox.scaled_width / letterbox.width, letterbox.width),
            (letterbox.top, letterbox.scaled_height / letterbox.height, letterbox.height),
        )
    ):
        ends = sorted((float(box[axis + 2 * side]) - start) / gain for side in (0, 1))
        answer[axis], answer[axis + 2] = (min(max(value, 0.0), end) for value in ends)
    return answer


def best(scores):
    label = 0
    for c, score in enumerate(scores):
        if score > scores[label]:
            label = c
    return label


def corners(x, y, w, h):
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def columns(head, allowed, confidence):
    """[[x1, y1, x2, y2, score, class], ...]"""
    answer = []
    for place in range(head.shape[1]):
        x, y, w, h, *scores = (float(v) for v in head[:, place])
        label = best(scores)
        if scores[label] > confidence and allowed[label]:
            answer.append([*corners(x, y, w, h), scores[label], label])
    return answer


def rows(head, allowed, confidence, strides=(), width=0, height=0):
    cells = [(x, y, s) for s in strides for y in range(height // s) for x in range(width // s)]
    answer = []
    for place, row in enumerate(head):
        x, y, w, h, objectness, *scores = (float(v) for v in row)
        label = best(scores)
        if strides:
            cell_x, cell_y, stride = cells[place]
            x, y, w, h = (x + cell_x) * stride, (y + cell_y) * stride, math.exp(w) * stride, math.exp(h) * stride
        score = objectness * scores[label]
        if objectness > confidence and score > confidence and allowed[label]:
            answer.append([*corners(x, y, w, h), score, label])
    return answer


def maps(boxes, scores, strides, allowed, confidence):
    """Of maps (h, w, 4 * bins) and (h, w, C), and the place of each."""
    answer, places, place = [], [], 0
    for box, score, stride in zip(boxes, scores, strides, strict=True):
        bins = box.shape[2] // 4
        for y in range(box.shape[0]):
            for x in range(box.shape[1]):
                values = [1 / (1 + math.exp(-float(v))) for v in score[y, x]]
                label = best(values)
                if values[label] > confidence and allowed[label]:
                    sides = []
                    for side in range(4):
                        numbers = [float(v) for v in box[y, x, side * bins : (side + 1) * bins]]
                        shares = [math.exp(v) for v in numbers]
                        mean = sum(k * share for k, share in enumerate(shares)) / sum(shares)
                        sides.append(numbers[0] if bins == 1 else mean)
                    left, top, right, bottom = sides
                    corner = [x + 0.5 - left, y + 0.5 - top, x + 0.5 + right, y + 0.5 + bottom]
                    answer.append([*(value * stride for value in corner), values[label], label])
                    places.append(place)
                place += 1
    return answer, places


def objects(head, allowed, others, confidence):
    answer = []
    for row in head:
        label = int(row[5])
        if row[4] > confidence and (allowed[label] if label < len(allowed) else others):
            answer.append([float(v) for v in row])
    return answer


def centres(heat, size, offset, landmarks, confidence, stride):
    _, height, width = heat.shape
    found, points = [], []
    for y in range(height):
        for x in range(width):
            if heat[0, y, x] > confidence:
                w, h = (math.exp(float(size[row, y, x])) * stride for row in (1, 0))
                left = (x + float(offset[1, y, x]) + 0.5) * stride - w / 2
                top = (y + float(offset[0, y, x]) + 0.5) * stride - h / 2
                left, top = min(max(left, 0), width * stride), min(max(top, 0), height * stride)
                box = [left, top, min(left + w, width * stride), min(top + h, height * stride)]
                found.append([*box, float(heat[0, y, x]), 0])
                points.append(
                    [
                        [left + float(landmarks[2 * p + 1, y, x]) * w, top + float(landmarks[2 * p, y, x]) * h]
                        for p in range(5)
                    ]
                )
    return found, points
