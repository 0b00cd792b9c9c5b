"""The post-processing that each family's authors publish, in plain numpy: written for comparison, sharing no code.

Each takes the outputs of one picture, the size of the input, the threshold and the overlap, and returns [(corners in
input pixels, score, class), ...], best first.
"""

import numpy as np


def overlap(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union > 0 else 0.0


def greedy(boxes, scores, classes, limit):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(classes[k] != classes[i] or overlap(boxes[k], boxes[i]) <= limit for k in kept):
            kept.append(i)
    return [(boxes[i], scores[i], classes[i]) for i in kept]


def every(boxes, scores, classes):
    return [(boxes[i], scores[i], classes[i]) for i in np.argsort(-scores, kind="stable")]


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def softmax(values, axis=-1):
    weights = np.exp(np.asarray(values, np.float64))
    return weights / weights.sum(axis, keepdims=True)


def priors(size, strides, offset):
    width, height = size
    rows = []
    for stride in strides:
        ys, xs = np.mgrid[: int(np.ceil(height / stride)), : int(np.ceil(width / stride))]
        rows.append(
            np.stack([(xs.ravel() + offset) * stride, (ys.ravel() + offset) * stride, 0 * xs.ravel() + stride], 1)
        )
    return np.concatenate(rows)


def best_class(scores, boxes, threshold):
    classes, values = scores.argmax(1), scores.max(1)
    mask = values > threshold
    return boxes[mask], values[mask], classes[mask]


def gfl(scores, spread, size, strides, offset, clip, threshold, limit):
    """gfl_head.py, nanodet_plus_head.py, picodet_postprocess.py: distance2bbox of the integral of a distribution."""
    bins = spread.shape[1] // 4
    places = priors(size, strides, offset)
    reach = (softmax(spread.reshape(-1, 4, bins)) @ np.arange(bins)) * places[:, 2:]
    boxes = np.concatenate([places[:, :2] - reach[:, :2], places[:, :2] + reach[:, 2:]], 1)
    if clip:
        boxes = boxes.clip(0, [*size, *size])
    return greedy(*best_class(scores, boxes, threshold), limit)


def nanodet(outputs, size, threshold, limit):
    tables = [outputs[name] for name in ("cls_8", "cls_16", "cls_32", "dis_8", "dis_16", "dis_32")]
    scores, spread = sigmoid(np.concatenate(tables[:3], 1)[0]), np.concatenate(tables[3:], 1)[0]
    return gfl(scores, spread, size, (8, 16, 32), 0.5, True, threshold, limit)


def nanodet_plus(outputs, size, threshold, limit):
    table = outputs["output"][0]
    return gfl(table[:, :-32], table[:, -32:], size, (8, 16, 32, 64), 0.0, True, threshold, limit)


def picodet(outputs, size, threshold, limit):
    scores = np.concatenate([outputs[f"scores_{i}"] for i in range(4)], 1)[0]
    spread = np.concatenate([outputs[f"boxes_{i}"] for i in range(4)], 1)[0]
    return gfl(scores, spread, size, (8, 16, 32, 64), 0.5, False, threshold, limit)


def fastestdet(outputs, size, threshold, limit):
    """runtime.py of its repository."""
    objectness, box, classes = (part[0] for part in outputs["output"])
    scores = sigmoid(objectness[0]) ** 0.6 * softmax(classes, 0).max(0) ** 0.4
    ys, xs = np.mgrid[: scores.shape[0], : scores.shape[1]]
    cx, cy = (xs + np.tanh(box[0])) / scores.shape[1] * size[0], (ys + np.tanh(box[1])) / scores.shape[0] * size[1]
    w, h = sigmoid(box[2]) * size[0], sigmoid(box[3]) * size[1]
    boxes = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)
    mask = scores > threshold
    return greedy(boxes[mask], scores[mask], classes.argmax(0)[mask], limit)


def boxes_and_scores(boxes, scores, threshold, limit):
    return greedy(*best_class(scores, boxes, threshold), limit)


def yolo_nas(outputs, size, threshold, limit):
    return boxes_and_scores(outputs["boxes"][0], outputs["scores"][0], threshold, limit)


def pp_yoloe(outputs, size, threshold, limit):
    return boxes_and_scores(outputs["boxes"][0], outputs["scores"][0].T, threshold, limit)


def darknet(outputs, size, threshold, limit):
    boxes = outputs["boxes"][0, :, 0] * [*size, *size]
    return boxes_and_scores(boxes, outputs["confs"][0], threshold, limit)


def pytorch_ssd(outputs, size, threshold, limit):
    boxes = outputs["boxes"][0] * [*size, *size]
    return boxes_and_scores(boxes, outputs["scores"][0][:, 1:], threshold, limit)


def default_boxes(maps, scales, ratios, steps=None):
    """DefaultBoxGenerator of torchvision's anchor_utils.py: centre x, centre y, width, height in 0..1."""
    rows = []
    for k, side in enumerate(maps):
        pairs = [(scales[k], scales[k]), (np.sqrt(scales[k] * scales[k + 1]),) * 2]
        for ratio in ratios[k]:
            w, h = scales[k] * np.sqrt(ratio), scales[k] / np.sqrt(ratio)
            pairs += [(w, h), (h, w)]
        per = side if steps is None else 300 / steps[k]
        for y in range(side):
            for x in range(side):
                rows += [[(x + 0.5) / per, (y + 0.5) / per, min(w, 1), min(h, 1)] for w, h in pairs]
    return np.array(rows)


def torchvision_ssd(outputs, size, threshold, limit, boxes=None):
    """ssd.py: softmax, BoxCoder with weights (10, 10, 5, 5)."""
    if size == (300, 300):
        scales, steps = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05), (8, 16, 32, 64, 100, 300)
        boxes = default_boxes((38, 19, 10, 5, 3, 1), scales, ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)), steps)
    else:
        scales = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
        boxes = default_boxes((20, 10, 5, 3, 2, 1), scales, ((2, 3),) * 6)
    deltas, logits = outputs["bbox_regression"][0].astype(float), outputs["cls_logits"][0]
    centre = boxes[:, :2] + deltas[:, :2] / 10 * boxes[:, 2:]
    extent = boxes[:, 2:] * np.exp(np.minimum(deltas[:, 2:] / 5, np.log(1000 / 16)))
    corners = np.concatenate([centre - extent / 2, centre + extent / 2], 1) * [*size, *size]
    return boxes_and_scores(corners, softmax(logits)[:, 1:], threshold, limit)


def tensorflow_ssd(outputs, size, threshold, limit):
    """faster_rcnn_box_coder.py with scales (10, 10, 5, 5); multiple_grid_anchor_generator.py where there are none."""
    if "anchors" in outputs:
        cy, cx, h, w = outputs["anchors"][0].astype(float).T
    else:
        scales, rows = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0), []
        for k, side in enumerate((19, 10, 5, 3, 2, 1)):
            shapes = [(scales[k], ratio) for ratio in (1, 2, 0.5, 3, 1 / 3)]
            shapes = [*shapes, (np.sqrt(scales[k] * scales[k + 1]), 1)] if k else [(0.1, 1), (0.2, 2), (0.2, 0.5)]
            for y in range(side):
                for x in range(side):
                    rows += [[(y + 0.5) / side, (x + 0.5) / side, s / np.sqrt(r), s * np.sqrt(r)] for s, r in shapes]
        cy, cx, h, w = np.array(rows).T
    dy, dx, dh, dw = outputs["raw_outputs/box_encodings"][0].astype(float).T
    y, x, high, wide = dy / 10 * h + cy, dx / 10 * w + cx, np.exp(dh / 5) * h, np.exp(dw / 5) * w
    corners = np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], 1) * [*size, *size]
    return boxes_and_scores(corners, sigmoid(outputs["raw_outputs/class_predictions"][0])[:, 1:], threshold, limit)


def tensorflow(outputs, size, threshold, limit):
    count = int(outputs["num_detections"][0])
    scores = outputs["detection_scores"][0, :count]
    boxes = outputs["detection_boxes"][0, :count][:, [1, 0, 3, 2]] * [*size, *size]
    classes = outputs["detection_classes"][0, :count].astype(int) - 1
    mask = scores > threshold
    return every(boxes[mask], scores[mask], classes[mask])


def automl(outputs, size, threshold, limit):
    rows = outputs["detections"][0]
    rows = rows[rows[:, 5] > threshold]
    return every(rows[:, [2, 1, 4, 3]], rows[:, 5], rows[:, 6].astype(int) - 1)


def faceboxes(outputs, size, threshold, limit):
    count = outputs["num_boxes"][0]
    scores = outputs["scores"][0, :count]
    boxes = outputs["boxes"][0, :count][:, [1, 0, 3, 2]] * [*size, *size]
    mask = scores > threshold
    return every(boxes[mask], scores[mask], np.zeros(mask.sum(), int))


def centernet(outputs, size, threshold, limit):
    rows = outputs["tower_0/detections"][0]
    rows = rows[rows[:, 4] > threshold]
    return every(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))
