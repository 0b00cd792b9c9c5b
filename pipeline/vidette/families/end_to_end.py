"""Heads whose boxes are finished: (B, M, 6), x1, y1, x2, y2 in input pixels, score, class; no suppression follows.

YOLOv10, YOLO26, and other Ultralytics exports with suppression inside the graph (`nms=True`; rows after the last object
are zeros). RT-DETR has the same shape but another content (centre and size in 0..1 of a stretched picture): not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class Objects:
    """Decodes one (M, 6) head; classes beyond the names may appear when no classes are chosen."""

    labels: tuple[str, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        head = outputs[0]
        if head.ndim != 2 or head.shape[1] != 6:
            raise reading.misshapen(outputs, "(M, 6)")
        return reading.finished(head, letterbox, limits, self.labels)


class EndToEnd:
    """By shape (B, M, 6) with an Ultralytics exporter's word for it, or at most `MOST` rows and no metadata at all."""

    name = "end-to-end"
    MOST = 1000  # objects that exporters allow: 300 usually; the grids of a 256x256 input already have 1344 cells

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        forced = reading.forced(signature, self.name)
        metadata = signature.metadata
        output = signature.outputs[0]
        if preprocess is None or len(output.shape) != 3 or output.shape[2] not in (6, None):
            return None
        if len(signature.outputs) != 1 and not forced:
            return None
        if metadata.get("task", "detect") != "detect" or reading.told_rtdetr(signature):
            return None
        _, rows, columns = output.shape
        finished = reading.end_to_end(signature)
        if forced:
            why = "the sidecar says so"
        elif finished:
            why = "metadata says that boxes come out finished, output is (batch, objects, 6)"
        elif finished is None and columns == 6 and rows and rows <= self.MOST and not reading.grids(preprocess, rows):
            why = f"output is (batch, {rows}, 6): that few rows are objects, not the cells of a grid"
        else:
            return None
        labels = reading.labels(signature, None)
        preprocess = reading.exported(signature, preprocess)
        return Recognised(self.name, "detection", labels, preprocess, Objects(labels), why)
