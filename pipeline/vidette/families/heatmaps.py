"""Heat maps: one person's points, each told as a picture of where it may be (HRNet, SimpleBaseline, ViTPose).

One output (B, K, h, w), a quarter of the input in size (https://arxiv.org/abs/1902.09212; mmdeploy's export of mmpose,
Hugging Face's `heatmaps`). Input RGB with ImageNet's mean, padded with 0. Which refinement a model was trained for, the
file does not say: ViTPose, which has attention, was published with UDP, the others with quarter steps; the sidecar's
`refine` says it outright. Such a model is made for pictures of one person, cut out by a detector: in a whole picture it
sees one, or mixes several.
"""

import math
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

REFINEMENTS = {"quarter": keypoints.QUARTER, "dark": keypoints.DARK, "udp": keypoints.UDP}
STRIDE = 4
SURE = 0.3  # points above it make up the person: mmpose draws those
SIGMA = 2.0  # of the Gaussians that mmpose trains with and blurs by, over 11 samples


def gaussian() -> npt.NDArray[np.float64]:
    """(11,) weights of the blur before DARK and UDP; they sum to 1."""
    weights = [math.exp(-(i**2) / (2 * SIGMA**2)) for i in range(-5, 6)]
    return np.array(weights, np.float64) / sum(weights)


WEIGHTS = gaussian()


@dataclass(frozen=True, slots=True)
class Heat:
    """Decodes (K, h, w)."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    refine: str

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        maps, count = outputs[0], len(self.skeleton.points)
        if maps.ndim != 3 or len(maps) != count or not maps.size:
            raise reading.misshapen(outputs, f"({count}, h, w)")
        sides = letterbox.input_width, letterbox.input_height
        points, state = keypoints.heat(heads.readable(maps), REFINEMENTS[self.refine], WEIGHTS, *sides)
        return person(points, state, letterbox, limits, self.labels, self.skeleton, SURE)


class HeatMaps:
    """By shape, a quarter of the input, and by a name with `heatmap` or 17 maps over an input that is taller than wide.

    Maps alone could be those of a semantic segmentation.
    """

    name = "heatmaps"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None or len(signature.outputs) != 1 or len(signature.outputs[0].shape) != 4:
            return None
        output = signature.outputs[0]
        _, count, height, width = output.shape
        if not count or preprocess.layout != "nchw":
            return None
        sides = ((preprocess.width, width), (preprocess.height, height))
        quarter = all(side is None or its is None or side == STRIDE * its for side, its in sides)
        tall = bool(preprocess.height and preprocess.width and preprocess.height > preprocess.width)
        if reading.forced(signature, self.name):
            why = "the sidecar says so"
        elif quarter and "heatmap" in output.name.lower():
            why = f"output `{output.name}` of {count} maps"
        elif quarter and tall and height and count == len(COCO_17.points):
            why = f"{count} maps at a quarter of an input that is taller than wide"
        else:
            return None
        labels = reading.one_label(signature, "person")
        refine = signature.sidecar.get("refine") or ("udp" if "Softmax" in signature.ops else "quarter")
        preprocess = replace(reading.normalised(preprocess, *reading.IMAGENET), pad=0)
        decoder = Heat(labels, skeleton(signature, count), refine)
        why = f"{why}, refine: {refine}; made for pictures of one person: it finds one in each"
        return Recognised(self.name, "keypoints", labels, preprocess, decoder, why, Thresholds(confidence=SURE))
