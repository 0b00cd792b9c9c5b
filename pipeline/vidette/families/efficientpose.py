"""EfficientPose: one person's 16 points of MPII, each told as a map of heat as large as the input.

One output (B, h, w, 16) with channels last, `upscaled_confs`. A point lies where its map is hottest, which is how the
authors read it in real time. Input RGB, padded with 0 around the picture: -1..1 for the Lite models, whose graphs have
no Sigmoid (no swish, no squeeze and excitation), ImageNet's mean and deviation for the others
(https://github.com/daniegr/EfficientPose, https://arxiv.org/abs/2004.12186).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.person import peaks, person
from vidette.families.points import skeleton
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import MPII_16, Skeleton
from vidette.signature import Signature

SURE = 0.3  # the authors draw points above it
OUTPUT = "upscaled_confs"


@dataclass(frozen=True, slots=True)
class Peaks:
    """Decodes (h, w, 16)."""

    labels: tuple[str, ...]
    skeleton: Skeleton

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        maps, count = outputs[0], len(self.skeleton.points)
        if maps.ndim != 3 or maps.shape[2] != count or not maps.size:
            raise reading.misshapen(outputs, f"(h, w, {count})")
        columns, rows, heat = peaks(maps)
        points = np.empty((count, 3), np.float32)
        points[:, 0] = columns * (letterbox.input_width / maps.shape[1])
        points[:, 1] = rows * (letterbox.input_height / maps.shape[0])
        points[:, 2] = heat.clip(0, 1)
        return person(points, heads.OK, letterbox, limits, self.labels, self.skeleton, SURE)


class EfficientPose:
    """By the output's published name, and channels last."""

    name = "efficientpose"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None or preprocess.layout != "nhwc" or len(signature.outputs) != 1:
            return None
        output, count = signature.outputs[0], len(MPII_16.points)
        if len(output.shape) != 4 or output.shape[3] not in (None, count):
            return None
        if not (output.name.startswith(OUTPUT) or reading.forced(signature, self.name)):
            return None
        lite = "Sigmoid" not in signature.ops
        halves = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        preprocess = replace(reading.normalised(preprocess, *(halves if lite else reading.IMAGENET)), pad=0)
        labels = reading.one_label(signature, "person")
        why = (
            f"output `{output.name}` of {count} maps, {'Lite: -1..1' if lite else 'ImageNet mean'}; "
            "it finds one person in each picture"
        )
        decoder = Peaks(labels, skeleton(signature, count, MPII_16))
        return Recognised(self.name, "keypoints", labels, preprocess, decoder, why, Thresholds(confidence=SURE))
