"""FastestDet: one map (B, 5 + C, h, w) at a sixteenth of the input, one box per cell and no anchors.

https://github.com/dog-qiuqiu/FastestDet (example/ncnn): objectness through a sigmoid, four raw
numbers of the box, classes through a softmax; score = objectness ** 0.6 * class ** 0.4, above 0.65, suppression at
0.45. Input BGR 0..1, stretched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import anchors, heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature

STRIDE = 16
OPS = {"Sigmoid", "Softmax", "Concat"}


@dataclass(frozen=True, slots=True)
class Cells:
    """Decodes one (5 + C, h, w) map."""

    labels: tuple[str, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        maps = outputs[0]
        if maps.ndim != 3 or len(maps) != 5 + len(self.labels):
            raise reading.misshapen(outputs, f"({5 + len(self.labels)}, h, w)")
        candidates, state = anchors.cells(
            heads.readable(maps),
            limits.class_mask(len(self.labels)),
            limits.confidence,
            letterbox.input_width,
            letterbox.input_height,
        )
        return reading.detections(candidates, state, letterbox, limits, self.labels)


class FastestDet:
    """By shape, a sixteenth of a fixed input, and by what joins its channels: a sigmoid, raw numbers and a softmax."""

    name = "fastestdet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        output = signature.outputs[0]
        if preprocess is None or len(signature.outputs) != 1 or len(output.shape) != 4:
            return None
        _, channels, height, width = output.shape
        if channels is None or channels < 6:
            return None
        if not reading.forced(signature, self.name):
            if not (preprocess.width and preprocess.height and height and width):
                return None
            if (preprocess.width, preprocess.height) != (width * STRIDE, height * STRIDE):
                return None
            if output.op != "Concat" or not signature.ops >= OPS:
                return None
        labels = reading.labels(signature, channels - 5)
        preprocess = replace(preprocess, colour="bgr", resize="stretch")
        why = f"a map of 5 + {channels - 5} channels, a sixteenth of the input: a sigmoid, four numbers, a softmax"
        defaults = Thresholds(confidence=0.65, iou=0.45)
        return Recognised(self.name, "detection", labels, preprocess, Cells(labels), why, defaults)
