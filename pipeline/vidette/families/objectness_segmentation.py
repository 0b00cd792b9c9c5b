"""Heads with an objectness and masks: (B, N, 5 + C + K) rows and (B, K, h, w) prototypes, two outputs in any order.

YOLOv5's and YOLOv7's segmentation (https://github.com/ultralytics/yolov5, models/yolo.py `Segment`, segment/predict.py;
YOLOv7's branch u7 has the same code): centre and size in input pixels, objectness, one score per class, K coefficients;
score is objectness times class. Masks are those of `prototypes.segmented`: these repositories apply a sigmoid before
they scale up, which moves an outline by parts of a cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.families import prototypes, reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.objectness import DECODED
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Decodes one (N, 5 + C + K) head with (K, h, w) prototypes; both are named by their places among the outputs.

    With no names it takes as many classes as come.
    """

    labels: tuple[str, ...]
    head: int
    prototypes: int

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        head, maps = outputs[self.head], outputs[self.prototypes]
        channels = len(maps) if maps.ndim == 3 else 0
        classes = len(self.labels) or head.shape[-1] - 5 - channels
        if head.ndim != 2 or not channels or not head.shape[1] == 5 + classes + channels > 5 + channels:
            raise reading.misshapen(outputs, f"(N, {5 + max(classes, 1)} + K) and (K, h, w)")
        head = heads.readable(head)
        found = heads.rows(head, limits.class_mask(classes), limits.confidence, DECODED, 0, 0)
        return prototypes.segmented(found, head[:, 5 + classes :], maps, letterbox, limits, self.labels)


class ObjectnessSegmentation:
    """By shape: three rows for each cell of the grids, with numbers to spare for prototypes; or by `names` that fit."""

    name = "objectness-segment"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`. Outputs of five axes (the undecoded maps that some exports add) are not looked at."""
        preprocess = reading.picture_input(signature)
        flat, maps = prototypes.places(signature)
        forced = reading.forced(signature, self.name)
        if preprocess is None or len(flat) != 1 or len(maps) != 1 or ("task" in signature.metadata and not forced):
            return None
        head, over = signature.outputs[flat[0]], signature.outputs[maps[0]]
        _, rows, columns = head.shape
        channels = over.shape[1]
        classes = columns - 5 - channels if columns and channels else None
        if not (forced or prototypes.lie_over(preprocess, over)) or (classes is not None and classes < 1):
            return None
        names = reading.literal(signature.metadata.get("names", "")) or signature.sidecar.get("labels")
        fit = reading.grids(preprocess, rows)
        if forced:
            why = "the sidecar says so"
        elif classes is None:
            return None
        elif fit and fit[0] == 3:
            why = f"{rows} rows are three for each cell of the grids over {preprocess.width}x{preprocess.height}"
        elif rows is None and names and len(names) == classes:
            why = f"there are {classes} names"
        else:
            return None
        labels = reading.labels(signature, classes)
        stride = fit[1][-1] if fit else preprocess.stride
        preprocess = reading.exported(signature, replace(preprocess, stride=stride))
        why = f"{why}, outputs are (batch, rows, 5 + {classes or 'C'} + K) and prototypes (batch, K, height, width)"
        return Recognised(self.name, "segmentation", labels, preprocess, SegmentRows(labels, flat[0], maps[0]), why)
