"""MoveNet: people with the 17 points of COCO, coordinates as parts of the input, y before x.

One person: (B, 1, 17, 3) y, x, score. Several: (B, M, 56), those 17 points, then top, left, bottom, right, score; no
suppression follows (https://www.tensorflow.org/hub/tutorials/movenet; model cards of SinglePose and MultiPose). Input
bytes RGB as integers, mostly int32 and channels last. The authors' code pads with 0: around the picture for one person,
right and below it, at 256 pixels, for several (https://github.com/tensorflow/tfjs-models, pose-detection/src/movenet).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.person import person
from vidette.families.points import skeleton
from vidette.kernels import heads, keypoints
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import COCO_17, Skeleton
from vidette.signature import Signature

POINTS = 17
SURE = 0.3  # points above it make up a single person; the model cards recommend it


@dataclass(frozen=True, slots=True)
class One:
    """Decodes (1, 17, 3); the box encloses the points that the model is sure of."""

    labels: tuple[str, ...]
    skeleton: Skeleton

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        if outputs[0].shape != (1, POINTS, 3):
            raise reading.misshapen(outputs, f"(1, {POINTS}, 3)")
        sides = (letterbox.input_width, letterbox.input_height, 1)
        points = heads.readable(outputs[0][0][:, [1, 0, 2]] * np.array(sides, np.float32))
        return person(points, heads.OK, letterbox, limits, self.labels, self.skeleton, SURE)


@dataclass(frozen=True, slots=True)
class Several:
    """Decodes (M, 56); the boxes are the model's own."""

    labels: tuple[str, ...]
    skeleton: Skeleton

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        head = outputs[0]
        if head.ndim != 2 or head.shape[1] != 3 * POINTS + 5:
            raise reading.misshapen(outputs, f"(M, {3 * POINTS + 5})")
        if limits.classes is not None and 0 not in limits.classes:
            head = head[:0]
        sides = letterbox.input_width, letterbox.input_height
        candidates, points, state = keypoints.people(heads.readable(head), limits.confidence, *sides)
        xyxy, confidence, class_id, chosen = reading.survivors(candidates, state, letterbox, limits, suppressed=True)
        placed = points[chosen]
        placed[..., :2] = letterbox.to_source(placed[..., :2])
        return Detections(xyxy, confidence, class_id, self.labels, placed, skeleton=self.skeleton)


class MoveNet:
    """By shape: (B, 1, 17, 3), or at most `MOST` rows of 56."""

    name = "movenet"
    MOST = 20  # people; the published models tell of 6

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None or len(signature.outputs) != 1:
            return None
        shape = signature.outputs[0].shape
        one = shape[1:] == (1, POINTS, 3)
        if not one and not (len(shape) == 3 and shape[2] == 3 * POINTS + 5 and 0 < (shape[1] or 0) <= self.MOST):
            return None
        labels = reading.one_label(signature, "person")
        told = skeleton(signature, POINTS, COCO_17)
        preprocess = replace(preprocess, scale=(1.0, 1.0, 1.0), pad=0)
        if one:
            why = "output is (batch, 1, 17, 3): y, x, score of one person's points"
            defaults = Thresholds(confidence=SURE)
            return Recognised(self.name, "keypoints", labels, preprocess, One(labels, told), why, defaults)
        size = preprocess.size if preprocess.width else 256
        preprocess = replace(preprocess, resize="topleft", size=size)
        why = f"output is (batch, {shape[1]}, 56): 17 points and a box of each person"
        return Recognised(self.name, "keypoints", labels, preprocess, Several(labels, told), why)
