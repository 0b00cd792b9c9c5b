"""SCRFD of InsightFace: faces, with five landmarks or none, from scores, reaches and ways at each stride.

Six outputs (N, 1) x 3 and (N, 4) x 3 of strides 8, 16 and 32 with two anchors per cell, nine with (N, 10) x 3; ten and
fifteen of strides 8 to 128 with one (https://arxiv.org/abs/2105.04714; insightface, python-package/insightface/
model_zoo/scrfd.py). The published files have no batch in their outputs and take one picture at a time; others have it.
Input RGB, (pixel - 127.5) / 128, padded with 0 right and below; suppression at 0.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.faces import faces
from vidette.families.points import skeleton
from vidette.kernels import heads, keypoints
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import FACE_5, Skeleton
from vidette.signature import Signature, Tensor

LAYOUTS = {
    6: ((8, 16, 32), 2, False),
    9: ((8, 16, 32), 2, True),
    10: ((8, 16, 32, 64, 128), 1, False),
    15: ((8, 16, 32, 64, 128), 1, True),
}
"""Strides, anchors per cell and whether there are landmarks, by the number of outputs."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Decodes (N, 1) of each stride, then (N, 4), then (N, 10) where there are landmarks."""

    labels: tuple[str, ...]
    skeleton: Skeleton | None
    strides: tuple[int, ...]
    anchors: int

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. Landmarks get their box's confidence."""
        levels = []
        columns = (1, 4, 10) if self.skeleton else (1, 4)
        for level, stride in enumerate(self.strides):
            parts = outputs[level :: len(self.strides)]
            across, down = letterbox.input_width // stride, letterbox.input_height // stride
            rows = across * down * self.anchors
            if [part.shape for part in parts] != [(rows, count) for count in columns]:
                raise reading.misshapen(parts, f"{rows} rows of {columns} numbers at stride {stride}")
            scores, boxes, *rest = (heads.readable(part) for part in parts)
            landmarks = rest[0] if rest else heads.readable(np.empty((rows, 0), np.float32))
            levels.append(keypoints.scrfd(scores, boxes, landmarks, limits.confidence, stride, across, self.anchors))
        return faces(levels, letterbox, limits, self.labels, self.skeleton)


class Scrfd:
    """By shape: three or five outputs of 1 number per row, as many of 4, and of 10 where there are landmarks."""

    name = "scrfd"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        layout = LAYOUTS.get(len(signature.outputs))
        if preprocess is None or layout is None or preprocess.layout != "nchw":
            return None
        strides, anchors, landmarks = layout
        columns = [count for count in (1, 4, 10)[: 3 if landmarks else 2] for _ in strides]
        if [output.shape[-1] for output in signature.outputs] != columns:
            return None
        ranks = {len(output.shape) for output in signature.outputs}
        if ranks not in ({2}, {3}) or not _fits(signature.outputs, preprocess.width, preprocess.height, layout):
            return None
        whole = ranks == {2}
        preprocess = replace(
            preprocess,
            mean=(127.5, 127.5, 127.5),
            scale=(1 / 128, 1 / 128, 1 / 128),
            pad=0,
            resize="topleft",
            stride=strides[-1],
        )
        if whole:
            preprocess = replace(preprocess, batch=1)
        told = reading.one_label(signature, "face")
        decoder = Levels(told, skeleton(signature, 5, FACE_5) if landmarks else None, strides, anchors)
        return Recognised(
            self.name,
            "keypoints" if landmarks else "detection",
            told,
            preprocess,
            decoder,
            f"{len(columns)} outputs of {', '.join(map(str, sorted(set(columns))))} numbers per anchor",
            Thresholds(confidence=0.5, iou=0.4),
            one_by_one=whole,
        )


def _fits(
    outputs: Sequence[Tensor], width: int | None, height: int | None, layout: tuple[tuple[int, ...], int, bool]
) -> bool:
    """Whether rows are the anchors of the grids, as far as sizes are told."""
    strides, anchors, _ = layout
    if not (width and height):
        return True
    rows = [(width // stride) * (height // stride) * anchors for stride in strides] * (len(outputs) // len(strides))
    return all(output.shape[-2] in (None, count) for output, count in zip(outputs, rows, strict=True))
