"""PoseNet: one person's 17 points of COCO, each told as a coarse map of heat and the way from its cell.

Outputs with channels last: heat (B, h, w, 17), logits, and offsets (B, h, w, 34) in input pixels, those of y before
those of x. A point lies at its hottest cell times the output stride, plus the offset there; the stride is 8, 16 or 32
and the input one pixel larger than a multiple of it, so that the first and the last cell lie on the edges. Two more
outputs of 32 join the points of several people; the decode for one does not need them. Input RGB -1..1, as the
MobileNet below it has it, padded with 0 (https://github.com/tensorflow/tfjs-models/tree/master/posenet).
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
from vidette.predictions.skeletons import COCO_17, Skeleton
from vidette.signature import Signature

POINTS = 17
SURE = 0.3  # points above it make up the person, as with the other models of one person
STRIDES = (8, 16, 32)
CHANNELS = ([17, 34], [17, 32, 32, 34])


@dataclass(frozen=True, slots=True)
class Offsets:
    """Decodes heat (h, w, 17) and offsets (h, w, 34), `heat` and `offsets` being their places among all outputs."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    heat: int
    offsets: int
    stride: int

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        heat, offsets = outputs[self.heat], outputs[self.offsets]
        if heat.ndim != 3 or heat.shape[2] != POINTS or not heat.size or offsets.shape != (*heat.shape[:2], 2 * POINTS):
            raise reading.misshapen(outputs, f"(h, w, {POINTS}) and (h, w, {2 * POINTS})")
        columns, rows, logits = peaks(heat)
        ways = offsets[rows, columns]  # (17, 34): all offsets of each point's cell
        index = np.arange(POINTS)
        points = np.empty((POINTS, 3), np.float32)
        points[:, 0] = columns * self.stride + ways[index, POINTS + index]
        points[:, 1] = rows * self.stride + ways[index, index]
        points[:, 2] = 1 / (1 + np.exp(-logits.clip(-80, 80)))
        return person(points, heads.OK, letterbox, limits, self.labels, self.skeleton, SURE)


class PoseNet:
    """By shape: the channels of all outputs, and a grid of a known stride."""

    name = "posenet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        shapes = [output.shape for output in signature.outputs]
        if preprocess is None or any(len(shape) != 4 for shape in shapes):
            return None
        channels = [shape[3] or 0 for shape in shapes]
        if sorted(channels) not in CHANNELS or len({shape[1:3] for shape in shapes}) != 1:
            return None
        stride = _stride(preprocess.width, shapes[0][2])
        if stride is None or stride != _stride(preprocess.height, shapes[0][1]):
            return None
        labels = reading.one_label(signature, "person")
        told = skeleton(signature, POINTS, COCO_17)
        decoder = Offsets(labels, told, channels.index(POINTS), channels.index(2 * POINTS), stride)
        halves = reading.normalised(preprocess, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        why = f"17 maps of heat and 34 of offsets, a cell every {stride} pixels; it finds one person in each picture"
        defaults = Thresholds(confidence=SURE)
        return Recognised(self.name, "keypoints", labels, replace(halves, pad=0), decoder, why, defaults)


def _stride(side: int | None, cells: int | None) -> int | None:
    """The stride of a grid whose first and last cell lie on the edges of the input, None where it is none."""
    return next((s for s in STRIDES if side and cells and side - 1 == s * (cells - 1)), None)
