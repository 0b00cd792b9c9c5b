"""BlazeFace of MediaPipe: faces with six landmarks, from logits and numbers in input pixels beside fixed anchors.

Near ("front", 128 pixels) and back camera (256): 16 x 16 cells with two anchors and 8 x 8 with six, as 512 and 384 rows
or 896 together; full range (192): 48 x 48 with one. Scores (B, N, 1), values (B, N, 16): x, y, w, h, six points
(https://arxiv.org/abs/1907.05047; MediaPipe, modules/face_detection: SsdAnchorsCalculator with strides 8, 16, 16, 16
and `fixed_anchor_size`, confidence 0.5, suppression at 0.3). Input RGB -1..1, padded around the picture with 0.
MediaPipe averages the boxes that it suppresses; here the best one stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.faces import faces
from vidette.families.points import skeleton
from vidette.kernels import heads, keypoints
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import FACE_6, Skeleton
from vidette.signature import Signature

COARSE, FINE, FULL = (8, 6), (16, 2), (48, 1)
"""Cells along a side, anchors in each."""
GRIDS = {384: (COARSE,), 512: (FINE,), 896: (FINE, COARSE), 2304: (FULL,)}
"""The grids of an output by its number of rows."""
TOGETHER = ((384, 512), (896,), (2304,))
"""Rows of all outputs of one kind."""
HALF = (0.5, 0.5, 0.5)
VALUES = 4 + 2 * len(FACE_6.points)


@dataclass(frozen=True, slots=True)
class Anchors:
    """Decodes (N, 1) and (N, 16) of each of `rows`; `scores` and `values` are their places."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    rows: tuple[int, ...]
    scores: tuple[int, ...]
    values: tuple[int, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. Landmarks get their box's confidence."""
        levels = []
        for rows, score, value in zip(self.rows, self.scores, self.values, strict=True):
            parts = outputs[score], outputs[value]
            if [part.shape for part in parts] != [(rows, 1), (rows, VALUES)]:
                raise reading.misshapen(parts, f"({rows}, 1) and ({rows}, {VALUES})")
            logits, numbers = (heads.readable(part) for part in parts)
            first = 0
            for across, anchors in GRIDS[rows]:
                last = first + across * across * anchors
                levels.append(
                    keypoints.blazeface(
                        logits[first:last],
                        numbers[first:last],
                        limits.confidence,
                        across,
                        anchors,
                        letterbox.input_width,
                        letterbox.input_height,
                    )
                )
                first = last
        return faces(levels, letterbox, limits, self.labels, self.skeleton)


class BlazeFace:
    """By shape: outputs of 512 and 384, of 896, or of 2304 rows, each with 1 and with 16 numbers."""

    name = "blazeface"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        shapes = [output.shape for output in signature.outputs]
        if preprocess is None or any(len(shape) != 3 for shape in shapes):
            return None
        places = {
            columns: {shape[1] or 0: i for i, shape in enumerate(shapes) if shape[2] == columns}
            for columns in (1, VALUES)
        }
        rows = tuple(sorted(places[1]))
        if rows not in TOGETHER or sorted(places[VALUES]) != list(rows) or len(shapes) != 2 * len(rows):
            return None
        preprocess = replace(reading.normalised(preprocess, HALF, HALF), pad=0)
        told = reading.one_label(signature, "face")
        decoder = Anchors(
            told,
            skeleton(signature, len(FACE_6.points), FACE_6),
            rows,
            tuple(places[1][count] for count in rows),
            tuple(places[VALUES][count] for count in rows),
        )
        why = f"outputs of {' and '.join(map(str, rows))} anchors with 1 and with {VALUES} numbers"
        return Recognised(self.name, "keypoints", told, preprocess, decoder, why, Thresholds(confidence=0.5, iou=0.3))
