"""Ultralytics pose heads: objects with keypoints, in one of two layouts.

Raw (B, 4 + C + K * D, N): centre and size in input pixels, one score per class, then x, y of each keypoint in input
pixels and, where D is 3, whether it can be seen (0..1, the graph has done the sigmoid). Finished (B, M, 6 + K * D):
corners, score, class, then the same; YOLO26 end to end, and exports with suppression inside the graph. The exporter
writes K and D as metadata `kpt_shape` (https://docs.ultralytics.com/tasks/pose/).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.points import skeleton
from vidette.kernels import heads, pose
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.predictions.skeletons import Skeleton
from vidette.sidecar import where
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class Pose:
    """Decodes one (4 + C + K * D, N) head, or (M, 6 + K * D) rows where it is `finished`.

    Keypoints are read for the objects that stay, only; with D = 2 each has the confidence of its object.
    """

    labels: tuple[str, ...]
    skeleton: Skeleton
    numbers: int  # D
    finished: bool

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect on finished rows."""
        head = outputs[0]
        extra = len(self.skeleton.points) * self.numbers
        if self.finished:
            if head.ndim != 2 or head.shape[1] != 6 + extra:
                raise reading.misshapen(outputs, f"(M, {6 + extra})")
            found = reading.objects(head, limits, self.labels)
        else:
            classes = len(self.labels) or head.shape[0] - 4 - extra
            if head.ndim != 2 or classes < 1 or head.shape[0] != 4 + classes + extra:
                raise reading.misshapen(outputs, f"({4 + max(classes, 1) + extra}, N)")
            head = heads.readable(head)
            found = heads.columns(head, limits.class_mask(classes), limits.confidence)
        candidates, places, state = found
        if state == heads.OK and not len(places):  # a call of the kernels costs more than there is to do
            return Detections.none(self.labels, skeleton=self.skeleton)
        xyxy, confidence, class_id, chosen = reading.survivors(
            candidates, state, letterbox, limits, suppressed=self.finished
        )
        places = places[chosen]
        if self.finished:
            head, places = heads.readable(head[places].T), np.arange(len(places))
        keypoints = pose.keypoints(head, places, len(head) - extra, self.numbers, confidence, letterbox.inverse)
        cut = reading.cut(candidates, limits)
        return Detections(xyxy, confidence, class_id, self.labels, keypoints, cut, self.skeleton)


class UltralyticsPose:
    """By metadata `task: pose`; without a task where the sidecar's `keypoints` fit the rows, and places the grids."""

    name = "ultralytics-pose"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        output = signature.outputs[0]
        if preprocess is None or len(signature.outputs) != 1 or len(output.shape) != 3:
            return None
        _, rows, columns = output.shape
        told = "the sidecar says so" if reading.forced(signature, self.name) else ""
        told = told or ("metadata says task pose" if signature.metadata.get("task") == "pose" else "")
        if not told and not (_unnamed(signature) and reading.grids(preprocess, columns)):
            return None
        try:
            finished = _finished(signature, columns)
            count, numbers, classes = divide(signature, columns if finished else rows, finished)
        except ModelError:
            if told:
                raise
            return None  # nobody said that it is ours
        layout = "objects, 6" if finished else f"places, 4 + {classes or 'C'}"
        labels = reading.labels(signature, None if finished else classes)
        return Recognised(
            self.name,
            "keypoints",
            labels,
            reading.exported(signature, preprocess),
            Pose(labels, skeleton(signature, count), numbers, finished),
            f"{told or 'the sidecar has keypoints'}, output is {layout} + {count} * {numbers} numbers each",
        )


def divide(signature: Signature, channels: int | None, finished: bool) -> tuple[int, int, int | None]:
    """(K, D, C): how many keypoints, numbers of each and classes make up `channels` numbers of each place or object.

    C is None where nothing tells it. Raises ModelError when they do not add up.
    """
    names = len(reading.labels(signature, None)) or None
    count, numbers = _counts(signature)
    before = 6 if finished else 4 + (names or 1)
    if channels is None:
        if count is None:
            raise ModelError(
                "it has keypoints, but nothing in the file says how many: write `keypoints: 17`, or their names, into "
                "the YAML beside the model"
            )
        return count, numbers or 3, names
    if numbers is not None and names is None and not finished:
        before = channels - (count or 0) * numbers  # all that is left are classes
    extra = channels - before
    fits = [d for d in (3, 2) if extra > 0 and extra % d == 0 and numbers in (None, d) and count in (None, extra // d)]
    if not fits or before < 5:
        wanted = f"{count or 'K'} keypoints of {numbers or '2 or 3'} numbers"
        raise ModelError(
            f"its output has {channels} numbers for each {'object' if finished else 'place'}, {before} of them for box "
            f"and classes: the other {extra} are not {wanted}; correct `labels` or `keypoints` in the YAML beside the "
            "model, or export it anew"
        )
    return extra // fits[0], fits[0], names if finished else before - 4


def _counts(signature: Signature) -> tuple[int | None, int | None]:
    """(K, D) as metadata `kpt_shape` tells, K also as the sidecar does; None where nobody does. Raises ModelError."""
    stated = signature.sidecar.get("keypoints")
    stated = len(stated) if isinstance(stated, list) else stated
    text = signature.metadata.get("kpt_shape")
    if text is None:
        return stated, None
    told = reading.literal(text)
    if not (isinstance(told, list | tuple) and len(told) == 2 and all(type(n) is int for n in told)):
        raise ModelError(f"metadata `kpt_shape` is {text[:40]!r}, not two numbers such as [17, 3]: export it anew")
    if told[0] < 1 or told[1] not in (2, 3):
        raise ModelError(f"metadata `kpt_shape` is {text[:40]!r}: only points of 2 or 3 numbers can be read")
    if stated not in (None, told[0]):
        raise ModelError(
            f"{where(signature.sidecar, 'keypoints')}: says {stated} keypoints, but the model has {told[0]}: correct it"
        )
    return told[0], told[1]


def _finished(signature: Signature, columns: int | None) -> bool:
    told = reading.end_to_end(signature)
    count, numbers = _counts(signature)
    return bool(count and columns in [6 + count * d for d in (2, 3) if numbers in (None, d)]) if told is None else told


def _unnamed(signature: Signature) -> bool:
    return "keypoints" in signature.sidecar and not {"task", "family"} & (signature.metadata.keys() | signature.sidecar)
