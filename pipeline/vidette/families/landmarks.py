"""MediaPipe's landmarks: all points of the one face, eye or person that a picture was cut to.

One row of numbers per picture, those of each point together: x, y, z in input pixels, for a person also visibility and
presence as logits (model cards of Face Mesh, Iris and BlazePose GHUM,
https://ai.google.dev/edge/mediapipe/solutions/guide). A second output of one number says whether the input shows what
was looked for; a point counts as much as it and its visibility say. Input RGB 0..1, square; padded with 0. In a whole
picture such a model finds one, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.activation import ending
from vidette.families.base import Recognised, Thresholds
from vidette.families.person import person
from vidette.families.points import skeleton
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import BODY_33, Skeleton, numbered
from vidette.signature import Signature

SURE = 0.5  # MediaPipe's own threshold
VISIBILITY = 3  # the column


@dataclass(frozen=True, slots=True)
class _Published:
    """A model as published: input side, columns per point, the points that are told and how many there are."""

    side: int
    columns: int
    skeleton: Skeleton
    label: str
    points: int


_PUBLISHED = (
    _Published(192, 3, numbered(468), "face", 468),
    _Published(64, 3, numbered(76), "eye", 76),  # 71 of the eye's outline, 5 of the iris
    _Published(256, 5, BODY_33, "person", 39),  # the last 6 say where to cut the next picture
)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Decodes `points` x `columns` numbers; `output` and `flag` are places among all outputs."""

    labels: tuple[str, ...]
    skeleton: Skeleton
    points: int
    columns: int
    output: int
    flag: int | None
    logit: bool

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        numbers = outputs[self.output]
        flag = np.ones(1, np.float32) if self.flag is None else outputs[self.flag]
        if numbers.size != self.points * self.columns or numbers.shape[-1] != numbers.size or flag.size != 1:
            raise reading.misshapen(outputs, f"{self.points * self.columns} numbers and one that says how sure")
        rows = numbers.reshape(self.points, self.columns)[: len(self.skeleton.points)]
        seen = flag.astype(np.float32).reshape(())
        points = np.empty((len(rows), 3), np.float32)
        points[:, :2] = rows[:, :2]
        points[:, 2] = _sigmoid(seen) if self.logit else seen
        if self.columns > VISIBILITY:
            points[:, 2] *= _sigmoid(rows[:, VISIBILITY].astype(np.float32))
        return person(points, heads.OK, letterbox, limits, self.labels, self.skeleton, 0.0)


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return 1 / (1 + np.exp(-logits.clip(-80, 80)))  # type: ignore[no-any-return]


class MediaPipeLandmarks:
    """By the side of the input and the number of numbers, both as published."""

    name = "landmarks"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None:
            return None
        sizes = [output.shape[-1] if _row(output.shape) else None for output in signature.outputs]
        sides = preprocess.width, preprocess.height
        for known in _PUBLISHED:
            count = known.points * known.columns
            if sides == (known.side, known.side) and sizes.count(count) == 1 and sizes.count(1) <= 1:
                break
        else:
            return None
        flag = sizes.index(1) if 1 in sizes else None
        labels = reading.one_label(signature, known.label)
        told = skeleton(signature, len(known.skeleton.points), known.skeleton)
        logit = flag is not None and ending(signature.outputs[flag]) != "sigmoid"
        decoder = Landmarks(labels, told, known.points, known.columns, sizes.index(count), flag, logit)
        why = (
            f"{count} numbers of {known.points} points from a picture of {known.side}x{known.side}; made for "
            f"cut-outs of one {known.label}: it finds one in each"
        )
        preprocess = replace(preprocess, pad=0)
        return Recognised(self.name, "keypoints", labels, preprocess, decoder, why, Thresholds(confidence=SURE))


def _row(shape: Sequence[int | None]) -> bool:
    """Whether these are the numbers of one row per picture: (B, n) or (B, 1, 1, n)."""
    return len(shape) > 1 and all(size == 1 for size in shape[1:-1])
