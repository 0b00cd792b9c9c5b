"""YuNet of OpenCV's model zoo (2023mar and later): faces with five landmarks from twelve outputs.

`cls_8`, `cls_16`, `cls_32`, `obj_...`, `bbox_...`, `kps_...`: (B, N, 1), (B, N, 1), (B, N, 4), (B, N, 10), a row per
cell of the grids of strides 8, 16 and 32. Input BGR 0..255, padded with 0 right and below
(https://github.com/opencv/opencv_zoo, face_detection_yunet; OpenCV, modules/objdetect/src/face_detect.cpp, which
suppresses at 0.3 and asks for 0.9; the zoo's own demonstration for 0.6).
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
from vidette.predictions.skeletons import FACE_5, Skeleton
from vidette.signature import Signature

STRIDES = (8, 16, 32)
KINDS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
NAMES = tuple(f"{kind}_{stride}" for kind in KINDS for stride in STRIDES)


@dataclass(frozen=True, slots=True)
class Levels:
    """Decodes (N, 1), (N, 1), (N, 4) and (N, 10) of each stride; `order` are the places of `NAMES`."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    order: tuple[int, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. Landmarks get their box's confidence."""
        levels = []
        for level, stride in enumerate(STRIDES):
            parts = [outputs[self.order[level + 3 * kind]] for kind in range(4)]
            across, down = letterbox.input_width // stride, letterbox.input_height // stride
            if [part.shape for part in parts] != [(across * down, columns) for columns in KINDS.values()]:
                raise reading.misshapen(parts, f"{across * down} rows of 1, 1, 4 and 10 numbers at stride {stride}")
            classes, objects, boxes, landmarks = (heads.readable(part) for part in parts)
            levels.append(keypoints.yunet(classes, objects, boxes, landmarks, limits.confidence, stride, across))
        return faces(levels, letterbox, limits, self.labels, self.skeleton)


class YuNet:
    """By the names of its twelve outputs."""

    name = "yunet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        names = [output.name for output in signature.outputs]
        if preprocess is None or set(names) != set(NAMES) or len(names) != len(NAMES):
            return None
        preprocess = replace(preprocess, colour="bgr", scale=(1.0, 1.0, 1.0), pad=0, resize="topleft")
        told = reading.one_label(signature, "face")
        order = tuple(names.index(name) for name in NAMES)
        decoder = Levels(told, skeleton(signature, 5, FACE_5), order)
        why = "outputs named cls, obj, bbox and kps of strides 8, 16 and 32"
        return Recognised(self.name, "keypoints", told, preprocess, decoder, why, Thresholds(confidence=0.6, iou=0.3))
