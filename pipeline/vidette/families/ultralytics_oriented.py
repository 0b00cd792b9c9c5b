"""Ultralytics oriented boxes (OBB), in one of two layouts.

Raw (B, 4 + C + 1, N): centre and size in input pixels, one score per class, the angle in radians from x towards y.
Finished (B, M, 7): centre and size, score, class, angle; YOLO26 end to end, and exports with suppression inside the
graph (https://docs.ultralytics.com/tasks/obb/).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.end_to_end import EndToEnd
from vidette.kernels import heads, rotated
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class Oriented:
    """Decodes one (4 + C + 1, N) head, or (M, 7) rows where it is `finished`."""

    labels: tuple[str, ...]
    finished: bool

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect on finished rows."""
        head = outputs[0]
        if self.finished:
            if head.ndim != 2 or head.shape[1] != 7:
                raise reading.misshapen(outputs, "(M, 7)")
            found = reading.objects(head, limits, self.labels)
            lying = heads.readable(head.T)
        else:
            classes = len(self.labels) or head.shape[0] - 5
            if head.ndim != 2 or not head.shape[0] == 5 + classes > 5:
                raise reading.misshapen(outputs, f"({5 + max(classes, 1)}, N)")
            lying = heads.readable(head)
            found = heads.columns(lying, limits.class_mask(classes), limits.confidence)
        candidates, places, state = found
        if state == heads.OK and not len(places):  # a call of the kernels costs more than there is to do
            return Detections.none(self.labels, oriented=True)
        boxes, sound = rotated.boxes(lying, places, len(lying) - 1)
        if state != heads.OK or sound != heads.OK:
            raise reading.not_numbers()
        corners, xyxy, confidence, class_id = rotated.finish(
            candidates,
            boxes,
            letterbox.inverse,
            letterbox.width,
            letterbox.height,
            1.0 if self.finished else limits.iou,
            limits.rotated_iou == "exact",
            limits.agnostic,
            limits.max_detections,
            limits.max_candidates,
        )
        cut = reading.cut(candidates, limits)
        return Detections(xyxy, confidence, class_id, self.labels, cut=cut, corners=corners)


class UltralyticsOriented:
    """By metadata `task: obb`: the shapes alone could also be one more class."""

    name = "ultralytics-obb"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        output = signature.outputs[0]
        if preprocess is None or len(signature.outputs) != 1 or len(output.shape) != 3:
            return None
        if reading.forced(signature, self.name):
            why = "the sidecar says so"
        elif signature.metadata.get("task") == "obb":
            why = "metadata says task obb"
        else:
            return None
        _, rows, columns = output.shape
        finished = reading.end_to_end(signature)
        if finished is None:
            finished = columns == 7 != rows and (rows or 0) <= EndToEnd.MOST
        channels = columns if finished else rows
        if channels is not None and (channels != 7 if finished else channels < 6):
            layout = "7 numbers for each object" if finished else "at least 6 numbers for each place"
            raise ModelError(
                f"{why} ({'finished boxes' if finished else 'raw head'}), but its output has {channels} where {layout} "
                "were expected: box, score, angle; if it is no oriented model, name its `family` in the YAML beside it"
            )
        classes = None if finished or channels is None else channels - 5
        labels = reading.labels(signature, classes)
        layout = "objects, 7" if finished else f"4 + {classes or 'C'} + 1, places"
        return Recognised(
            self.name,
            "oriented",
            labels,
            reading.exported(signature, preprocess),
            Oriented(labels, finished),
            f"{why}, output is (batch, {layout})",
        )
