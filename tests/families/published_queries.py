"""What query models' own packages do with raw outputs, again in plain numpy and float64: the answers to compare with.

Boxes come back as corners in the source picture, clipped to it, best first.
"""

import numpy as np


def corners(boxes):
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def softmax(values):
    powers = np.exp(np.asarray(values, np.float64) - np.max(values, axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def answer(xyxy, scores, classes, threshold, width, height):
    """Those above the threshold, best first, clipped; also which they were."""
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > threshold]
    return np.clip(xyxy[order], 0, (width, height, width, height)), scores[order], classes[order], order


def best_pairs(logits, most=300):
    """RT-DETR, D-FINE, Deformable DETR, RF-DETR: sigmoid, then the best of all pairs of query and class."""
    scores = sigmoid(logits).reshape(-1)
    pairs = np.argsort(-scores, kind="stable")[:most]
    return scores[pairs], pairs // logits.shape[1], pairs % logits.shape[1]


def pairs(logits, boxes, threshold, width, height):
    """RT-DETR's and Deformable DETR's post_process_object_detection (Hugging Face), RF-DETR's PostProcess."""
    scores, rows, classes = best_pairs(logits)
    xyxy = corners(boxes)[rows] * (width, height, width, height)
    *found, order = answer(xyxy, scores, classes, threshold, width, height)
    return *found, rows[order]


def exclusive(logits, boxes, threshold, width, height):
    """DETR's post_process_object_detection: softmax, the best class without the last."""
    scores = softmax(logits)[:, :-1]
    xyxy = corners(boxes) * (width, height, width, height)
    return answer(xyxy, scores.max(axis=1), scores.argmax(axis=1), threshold, width, height)


def deployed(logits, boxes, size):
    """The post-processing that RT-DETR's, D-FINE's and DEIM's export puts into the graph: labels, boxes multiplied by
    `orig_target_sizes`, scores."""
    scores, rows, classes = best_pairs(logits)
    return classes, corners(boxes)[rows] * np.tile(size, 2), scores


def of_ultralytics(head, threshold, width, height):
    """RTDETRPredictor: boxes in 0..1, the best score of a row."""
    head = np.asarray(head, np.float64)
    scores = head[:, 4:]
    xyxy = corners(head[:, :4]) * (width, height, width, height)
    return answer(xyxy, scores.max(axis=1), scores.argmax(axis=1), threshold, width, height)


def masks(logits, width, height):
    """RF-DETR's PostProcess: (n, h, w) logits bilinear to the picture (half-pixel centres, continued at the border),
    positive inside."""

    def weights(cells, pixels):
        places = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
        first = np.minimum(places.astype(int), max(cells - 2, 0))
        matrix = np.zeros((pixels, cells))
        matrix[np.arange(pixels), first] += 1 - (places - first)
        matrix[np.arange(pixels), np.minimum(first + 1, cells - 1)] += places - first
        return matrix

    down, across = logits.shape[1:]
    values = np.einsum("yr,nrc,xc->nyx", weights(down, height), np.asarray(logits, np.float64), weights(across, width))
    return values > 0
