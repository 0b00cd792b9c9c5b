"""CenterNet with its peaks found inside the graph: (B, M, 6) x1, y1, x2, y2 in input pixels, score, class.

Objects as points (https://arxiv.org/abs/1904.07850): the maps that the rows were taken from, scores per class (B, h, w,
C) and sizes, are outputs too, at a quarter of the input. Input RGB 0..255, channels last, stretched; nothing is
suppressed. Rows of later duplicates may stay, as in the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.end_to_end import Objects
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature

STRIDE = 4


@dataclass(frozen=True, slots=True)
class Peaks:
    """Decodes the output at `place`, (M, 6)."""

    labels: tuple[str, ...]
    place: int

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        return Objects(self.labels)([outputs[self.place]], letterbox, limits)


class CenterNet:
    """By shape: rows of 6 beside maps of a quarter of the input, channels last."""

    name = "centernet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None or preprocess.layout != "nhwc":
            return None
        rows = [i for i, output in enumerate(signature.outputs) if len(output.shape) == 3 and output.shape[2] == 6]
        maps = [output for output in signature.outputs if len(output.shape) == 4]
        if len(rows) != 1 or not maps or len(rows) + len(maps) != len(signature.outputs):
            return None
        for _, height, width, _ in (output.shape for output in maps):
            if preprocess.height and height and preprocess.height != height * STRIDE:
                return None
            if preprocess.width and width and preprocess.width != width * STRIDE:
                return None
        scores = [output.shape[3] for output in maps if output.op == "Sigmoid"]
        labels = reading.labels(signature, scores[0] if len(scores) == 1 else None)
        preprocess = replace(preprocess, scale=(1.0, 1.0, 1.0), resize="stretch")
        why = "rows of 6 beside maps of a quarter of the input"
        decoder = Peaks(labels, rows[0])
        return Recognised(self.name, "detection", labels, preprocess, decoder, why, Thresholds(confidence=0.3))
