"""Finished boxes and scores per class, side by side and not suppressed: YOLO-NAS, PP-YOLOE, DAMO-YOLO.

One row per cell of the grids, corners x1, y1, x2, y2 in input pixels. Which of them it is the order and axes tell:

- boxes (B, N, 4), scores (B, N, C): YOLO-NAS (https://github.com/Deci-AI/super-gradients, exported with
  `postprocessing=None`): RGB 0..1, letterbox.
- boxes (B, N, 4), scores (B, C, N): PP-YOLOE (https://github.com/PaddlePaddle/PaddleDetection, exported with
  `exclude_nms=True`): RGB 0..1 stretched (PP-YOLOE+), a second input `scale_factor` that boxes are divided by.
- scores (B, N, C), boxes (B, N, 4): DAMO-YOLO (https://github.com/tinyvision/DAMO-YOLO, tools/converter.py without
  --end2end): RGB 0..255 in the upper left corner of black.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads, scores
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Extra, Preprocess
from vidette.predictions.detections import Detections
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class Pair:
    """Decodes boxes (N, 4) and scores (N, C), or (C, N) where `across`; `boxes` is the place of the boxes.

    `parts` says that corners are parts of the input, not pixels; `background` that column 0 of the scores is none of
    the classes.
    """

    labels: tuple[str, ...]
    boxes: int = 0
    across: bool = False
    parts: bool = False
    background: bool = False

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        boxes, table = outputs[self.boxes], outputs[1 - self.boxes]
        axis = 0 if self.across else -1
        columns = len(self.labels) + self.background or table.shape[axis]
        boxes = boxes.reshape(-1, 4) if boxes.ndim == 3 else boxes  # Darknet's have an axis of one for the classes
        shape = (columns, len(boxes)) if self.across else (len(boxes), columns)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or table.shape != shape:
            raise reading.misshapen(outputs, f"boxes of 4 and scores of {columns} columns")
        allowed = limits.class_mask(columns - self.background)
        size = (letterbox.input_width, letterbox.input_height) if self.parts else (1, 1)
        if self.across:
            corners = boxes.astype(np.float32)
            head = np.concatenate([(corners[:, :2] + corners[:, 2:]).T / 2, (corners[:, 2:] - corners[:, :2]).T, table])
            candidates, _, state = heads.columns(heads.readable(head), allowed, limits.confidence)
        else:
            candidates, state = scores.boxed(
                heads.readable(boxes),
                heads.readable(table),
                int(self.background),
                allowed,
                limits.confidence,
                float(size[0]),
                float(size[1]),
            )
        return reading.detections(candidates, state, letterbox, limits, self.labels)


class BoxesAndScores:
    """By shape: two outputs, one four wide, with a row for each cell of the grids over a fixed input."""

    name = "boxes-and-scores"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        picture = _without_factor(signature)
        preprocess = reading.picture_input(picture)
        shapes = [output.shape for output in signature.outputs]
        if preprocess is None or len(shapes) != 2 or any(len(shape) != 3 for shape in shapes):
            return None
        boxes = next((i for i, shape in enumerate(shapes) if shape[2] == 4), None)
        if boxes is None:
            return None
        rows, (_, first, second) = shapes[boxes][1], shapes[1 - boxes]
        fit = reading.grids(preprocess, rows)
        forced = reading.forced(signature, self.name)
        if not forced and (fit is None or fit[0] != 1):
            return None
        across = boxes == 0 and second == rows != first
        if not across and first != rows:
            return None
        whose, preprocess = _placed(preprocess, boxes, across=across)
        if len(signature.inputs) == 2:
            preprocess = replace(preprocess, extras=(_factor(signature),))
        labels = reading.labels(signature, first if across else second)
        cells = f"each of the {rows} cells of the grids" if fit else "each place"
        why = f"a box and scores for {cells}, laid out as {whose} does"
        return Recognised(
            self.name, "detection", labels, preprocess, Pair(labels, boxes, across), why, Thresholds(iou=0.7)
        )


def _placed(preprocess: Preprocess, boxes: int, *, across: bool) -> tuple[str, Preprocess]:
    if across:
        return "PP-YOLOE", replace(preprocess, resize="stretch")
    if boxes == 1:
        return "DAMO-YOLO", replace(preprocess, scale=(1.0, 1.0, 1.0), resize="topleft", pad=0)
    return "YOLO-NAS", preprocess


def _without_factor(signature: Signature) -> Signature:
    picture = tuple(tensor for tensor in signature.inputs if tensor.name != "scale_factor")
    return replace(signature, inputs=picture)


def _factor(signature: Signature) -> Extra:
    factor = next(tensor for tensor in signature.inputs if tensor.name == "scale_factor")
    return Extra(factor.name, factor.dtype, (1.0, 1.0))
