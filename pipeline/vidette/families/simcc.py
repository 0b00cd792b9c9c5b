"""SimCC heads: one person's points, each axis told as numbers over its pixels (RTMPose, DWPose, SimCC).

Two outputs, `simcc_x` (B, K, Wx) and `simcc_y` (B, K, Wy), each as long as its side of the input times one ratio, 2
mostly (https://arxiv.org/abs/2303.07399; mmdeploy's export of mmpose). Input RGB with ImageNet's mean, padded with 0.
Such a model is made for pictures of one person, cut out by a detector: in a whole picture it sees one, or mixes
several.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.person import person
from vidette.families.points import skeleton
from vidette.kernels import heads, keypoints
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import Skeleton
from vidette.signature import Signature

NAMES = {"simcc_x", "simcc_y"}
SURE = 0.3  # points above it make up the person: mmpose draws those


@dataclass(frozen=True, slots=True)
class Axes:
    """Decodes (K, Wx) and (K, Wy); `x` is the place of the first."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    x: int = 0

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        across, down = outputs[self.x], outputs[1 - self.x]
        count = len(self.skeleton.points)
        if any(axis.ndim != 2 or axis.shape[0] != count or not axis.size for axis in (across, down)):
            raise reading.misshapen(outputs, f"({count}, Wx) and ({count}, Wy)")
        points, state = keypoints.axes(
            heads.readable(across), heads.readable(down), letterbox.input_width, letterbox.input_height
        )
        return person(points, state, letterbox, limits, self.labels, self.skeleton, SURE)


class SimCC:
    """By names, or by shape: two outputs of K rows each, as long as a whole multiple of the input's sides."""

    name = "simcc"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        outputs = signature.outputs
        if preprocess is None or len(outputs) != 2 or any(len(output.shape) != 3 for output in outputs):
            return None
        count = outputs[0].shape[1]
        if not count or outputs[1].shape[1] != count:
            return None
        names = [output.name for output in outputs]
        lengths = [output.shape[2] for output in outputs]
        sides = [preprocess.width, preprocess.height]
        if set(names) == NAMES:
            x, why = names.index("simcc_x"), "outputs named simcc_x and simcc_y"
        elif _multiple(lengths, sides) or _multiple(lengths[::-1], sides):
            x = 0 if _multiple(lengths, sides) else 1
            why = f"two outputs of {count} rows, as long as multiples of {sides[0]}x{sides[1]}"
        elif reading.forced(signature, self.name):
            x, why = 0, "the sidecar says so"
        else:
            return None
        labels = reading.one_label(signature, "person")
        preprocess = replace(reading.normalised(preprocess, *reading.IMAGENET), pad=0)
        decoder = Axes(labels, skeleton(signature, count), x)
        why = f"{why}; made for pictures of one person: it finds one in each"
        return Recognised(self.name, "keypoints", labels, preprocess, decoder, why, Thresholds(confidence=SURE))


def _multiple(lengths: Sequence[int | None], sides: Sequence[int | None]) -> bool:
    """Whether lengths are one and the same whole multiple, 2 to 4, of an input's sides."""
    return any(
        all(length and side and length == ratio * side for length, side in zip(lengths, sides, strict=True))
        for ratio in (2, 3, 4)
    )
