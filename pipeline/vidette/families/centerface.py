"""CenterFace: faces with five landmarks (eyes, nose, corners of the mouth) from four maps at a quarter of the input.

https://github.com/Star-Clouds/CenterFace (https://arxiv.org/abs/1911.03599): heat, size, offset, landmarks; input RGB
0..255, each side stretched to a multiple of 32; suppression at 0.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import FACE_5, Skeleton
from vidette.signature import Signature

STRIDE = 4
CHANNELS = (1, 2, 2, 10)
PLACEHOLDER = (32, 32)  # sides that the published file declares, with a batch of 10: it works at every multiple of 32


@dataclass(frozen=True, slots=True)
class Maps:
    """Decodes heat (1, h, w), size (2, h, w), offset (2, h, w) and landmarks (10, h, w)."""

    labels: tuple[str, ...]
    skeleton: ClassVar[Skeleton] = FACE_5

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. Keypoints are (N, 5, 3); the model rates none of them, so they get their box's confidence."""
        size = letterbox.input_height // STRIDE, letterbox.input_width // STRIDE
        if [o.shape for o in outputs] != [(channels, *size) for channels in CHANNELS]:
            raise reading.misshapen(outputs, f"maps of {size[1]}x{size[0]} with {CHANNELS} channels")
        heat, extent, offset, landmarks = (heads.readable(output) for output in outputs)
        candidates, points, state = heads.centres(heat, extent, offset, landmarks, limits.confidence, STRIDE)
        if limits.classes is not None and 0 not in limits.classes:
            candidates, points = candidates[:, :0].copy(), points[:0]
        return reading.detections(candidates, state, letterbox, limits, self.labels, points, skeleton=self.skeleton)


class CenterFace:
    """By shape: four maps of 1, 2, 2 and 10 channels, a quarter of the input in size where both are known."""

    name = "centerface"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        shapes = [output.shape for output in signature.outputs]
        if preprocess is None or any(len(shape) != 4 for shape in shapes):
            return None
        if tuple(shape[1] for shape in shapes) != CHANNELS:
            return None
        for _, _, height, width in shapes:
            if preprocess.height and height and preprocess.height != height * STRIDE:
                return None
            if preprocess.width and width and preprocess.width != width * STRIDE:
                return None
        dynamic = (preprocess.height, preprocess.width) == PLACEHOLDER
        if dynamic:
            preprocess = replace(preprocess, width=None, height=None, batch=None, size=640)
        preprocess = replace(preprocess, scale=(1.0, 1.0, 1.0), resize="stretch")
        labels = tuple(signature.sidecar.get("labels") or ("face",))
        return Recognised(
            self.name,
            "keypoints",
            labels,
            preprocess,
            Maps(labels),
            "four maps of 1, 2, 2 and 10 channels at a quarter of the input",
            Thresholds(confidence=0.5, iou=0.3),
            dynamic,
        )
