"""Detectors of TensorFlow with suppression inside the graph, recognised by the names of their outputs.

TensorFlow's Object Detection API (https://github.com/tensorflow/models, object_detection/exporter.py: SSD,
EfficientDet, Faster R-CNN, CenterNet): `detection_boxes` (B, M, 4) as y1, x1, y2, x2 in parts of the picture,
`detection_scores` (B, M), `detection_classes` (B, M) from 1, `num_detections` (B,). EfficientDet of AutoML
(https://github.com/google/automl, efficientdet/inference.py): `detections` (B, M, 7) as picture, y1, x1, y2, x2 in
pixels, score, class from 1. Input channels last, usually bytes of any size: the graph scales and normalises. Floats are
taken to be 0..255 as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.signature import Signature, Tensor

NAMES = ("detection_boxes", "detection_scores", "detection_classes")
COUNT = "num_detections"
SWAPPED = [1, 0, 3, 2]  # y, x, y, x -> x, y, x, y


def by_name(signature: Signature) -> Mapping[str, int]:
    """Place of each output by its bare name: `Postprocessor/scores:0` is `scores`."""
    return {output.name.split(":")[0].rsplit("/", 1)[-1]: i for i, output in enumerate(signature.outputs)}


def whole_picture(signature: Signature) -> Preprocess | None:
    """The one input of such a graph: channels last, 0..255, the picture at its own shape where any is taken."""
    preprocess = reading.picture_input(signature)
    if preprocess is None or preprocess.layout != "nhwc":
        return None
    return replace(preprocess, scale=(1.0, 1.0, 1.0), resize="stretch", stride=1)


@dataclass(frozen=True, slots=True)
class Finished:
    """Decodes boxes (M, 4) y1, x1, y2, x2 in parts of the input, scores (M,), and where told classes and a count.

    The numbers are places of outputs. Classes begin at 1; without them all objects are of class 0. Rows beyond the
    count are not looked at.
    """

    labels: tuple[str, ...]
    boxes: int
    scores: int
    classes: int | None = None
    count: int | None = None

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        boxes, scores = outputs[self.boxes], outputs[self.scores]
        classes = np.ones(scores.shape) if self.classes is None else outputs[self.classes]
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not scores.shape == classes.shape == boxes.shape[:1]:
            raise reading.misshapen(outputs, "boxes (M, 4), scores (M,) and classes (M,)")
        found = len(boxes) if self.count is None else int(outputs[self.count].reshape(-1)[0])
        size = np.array([letterbox.input_width, letterbox.input_height] * 2)
        head = np.column_stack([boxes[:, SWAPPED] * size, scores, classes - 1.0])[: max(found, 0)]
        return reading.finished(head, letterbox, limits, self.labels)


@dataclass(frozen=True, slots=True)
class Rows:
    """Decodes (M, 7): picture, y1, x1, y2, x2 in input pixels, score, class from 1."""

    labels: tuple[str, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        rows = outputs[0]
        if rows.ndim != 2 or rows.shape[1] != 7:
            raise reading.misshapen(outputs, "(M, 7)")
        head = np.column_stack([rows[:, 1:5][:, SWAPPED], rows[:, 5], rows[:, 6] - 1.0])
        return reading.finished(head, letterbox, limits, self.labels)


class TensorFlow:
    """By the names of the outputs, in any order; AutoML's by seven columns after an input with channels last."""

    name = "tensorflow"
    MOST = 1000  # rows that are objects, not places

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = whole_picture(signature)
        places = by_name(signature)
        if preprocess is None or signature.metadata.get("task"):
            return None
        if all(name in places for name in NAMES):
            labels = reading.labels(signature, None)
            boxes, scores, classes = (places[name] for name in NAMES)
            decoder = Finished(labels, boxes, scores, classes, places.get(COUNT))
            why = f"outputs named {', '.join(NAMES)}"
            return Recognised(self.name, "detection", labels, preprocess, decoder, why)
        if len(signature.outputs) == 1 and self._automl(signature.outputs[0]):
            labels = reading.labels(signature, None)
            why = f"rows of 7 after an input with channels last, {signature.outputs[0].shape[1]} of them: AutoML's"
            return Recognised(self.name, "detection", labels, preprocess, Rows(labels), why)
        return None

    def _automl(self, output: Tensor) -> bool:
        return len(output.shape) == 3 and output.shape[2] == 7 and 0 < (output.shape[1] or 0) <= self.MOST
