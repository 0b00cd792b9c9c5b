"""Heads with an objectness: (B, N, 5 + C), centre and size in input pixels, objectness, one score per class.

YOLOv5 and YOLOv7 (https://github.com/ultralytics/yolov5/blob/master/utils/general.py, non_max_suppression): score is
objectness times class, the best class of a row counts, three anchors in each cell of the grids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import prototypes, reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature

DECODED = np.empty(0, np.int64)  # no grids: boxes are in pixels already


@dataclass(frozen=True, slots=True)
class Rows:
    """Decodes one (N, 5 + C) head; with no names it takes as many classes as come."""

    labels: tuple[str, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        head = outputs[0]
        classes = len(self.labels) or head.shape[-1] - 5
        if head.ndim != 2 or not head.shape[1] == 5 + classes > 5:
            raise reading.misshapen(outputs, f"(N, {5 + classes})")
        allowed = limits.class_mask(classes)
        candidates, _, state = heads.rows(heads.readable(head), allowed, limits.confidence, DECODED, 0, 0)
        return reading.detections(candidates, state, letterbox, limits, self.labels)


class Objectness:
    """By shape: three rows for each cell of the grids; else by metadata: `names` that fit the columns."""

    name = "objectness"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`. Other outputs (the undecoded maps that some exports add) are not looked at, unless they are
        prototypes: then it is `objectness-segment`."""
        preprocess = reading.picture_input(signature)
        forced = reading.forced(signature, self.name)
        metadata = signature.metadata
        output = signature.outputs[0]
        if preprocess is None or len(output.shape) != 3 or metadata.get("task", "detect") != "detect":
            return None
        _, rows, columns = output.shape
        if columns is None or columns < 6:
            return None
        _, maps = prototypes.places(signature)
        over = signature.outputs[maps[0]] if len(maps) == 1 and not forced else None
        if over and prototypes.lie_over(preprocess, over) and columns > 5 + (over.shape[1] or columns):
            return None
        names = reading.literal(metadata.get("names", "")) or signature.sidecar.get("labels")
        fit = reading.grids(preprocess, rows)
        if forced:
            why = "the sidecar says so"
        elif fit and fit[0] == 3:
            why = f"{rows} rows are three for each cell of the grids over {preprocess.width}x{preprocess.height}"
        elif rows is None and names and len(names) == columns - 5:
            why = f"output is (batch, rows, 5 + {columns - 5}) and there are {columns - 5} names"
        else:
            return None
        labels = reading.labels(signature, columns - 5)
        stride = fit[1][-1] if fit else preprocess.stride
        preprocess = reading.exported(signature, replace(preprocess, stride=stride))
        return Recognised(self.name, "detection", labels, preprocess, Rows(labels), why)
