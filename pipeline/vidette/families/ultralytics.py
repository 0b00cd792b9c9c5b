"""Ultralytics detection heads: (B, 4 + C, N), boxes as centre and size in input pixels, one score per class.

v8, v9, 11, 12 and what else its exporter writes, v5u and v3u too, and v10 and 26 exported without their end-to-end head
(https://docs.ultralytics.com/modes/export/). Decoding as `predict` does: the best class of a place, confidence above
the threshold, suppression within classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.errors import DecodeError
from vidette.families import reading
from vidette.families.base import Recognised, Shorter, Thresholds
from vidette.families.maps import Maps
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature

MOST = 1.01  # that a score may be: rounding of half precision and int8 has carried some beyond 1


@dataclass(frozen=True, slots=True)
class Columns:
    """Decodes one (4 + C, N) head; with no names it takes as many classes as come."""

    labels: tuple[str, ...]
    guessed: bool = False  # neither metadata nor sidecar name the task
    maps: Maps | None = None  # of a graph that was cut short, in place of the head

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. Raises DecodeError `range` too: where the task is `guessed`, numbers of another one may have
        been counted as classes."""
        if self.maps is None:
            candidates, _, state = self._columns(outputs, limits)
        else:
            candidates, _, state = self.maps.candidates(outputs, len(self.labels), limits)
        found = reading.detections(candidates, state, letterbox, limits, self.labels)
        if self.guessed and len(found) and found.confidence[0] > MOST:
            raise DecodeError(
                "range",
                f"the model's scores reach {found.confidence[0]:.3g}, so some of its numbers are no scores, perhaps "
                "keypoints or angles: write `family: ultralytics-pose` (and `keypoints: 17`, or how many there are) or "
                "`family: ultralytics-obb` into the YAML beside the model",
            )
        return found

    def _columns(self, outputs: Sequence[npt.NDArray[Any]], limits: Thresholds) -> heads.Candidates:
        head = outputs[0]
        classes = len(self.labels) or head.shape[0] - 4
        if head.ndim != 2 or not head.shape[0] == 4 + classes > 4:
            raise reading.misshapen(outputs, f"({4 + classes}, N)")
        return heads.columns(heads.readable(head), limits.class_mask(classes), limits.confidence)


class Ultralytics:
    """By metadata (`task: detect`, `names` that fit the rows), or by shape: one column for each cell of the grids."""

    name = "ultralytics"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        forced = reading.forced(signature, self.name)
        metadata = signature.metadata
        output = signature.outputs[0]
        if preprocess is None or len(output.shape) != 3 or (len(signature.outputs) != 1 and not forced):
            return None
        if metadata.get("task", "detect") != "detect" or reading.told_rtdetr(signature):
            return None
        if "keypoints" in signature.sidecar and not forced:
            return None
        _, rows, columns = output.shape
        count = rows - 4 if rows else None
        if (count is not None and count < 1) or columns == 6 != rows:
            return None
        if "task" in metadata:
            names = reading.literal(metadata.get("names", ""))
            if count is not None and names and len(names) != count and not forced:
                return None  # a transposed or end-to-end head of the same exporter
            if count is None and reading.end_to_end(signature):
                return None
            told = "the sidecar says so" if forced else "metadata says task detect"
            why = f"{told}, output is (batch, 4 + {count or 'C'}, places)"
        elif forced:
            why = "the sidecar says so"
        elif (fit := reading.grids(preprocess, columns)) and fit[0] == 1:
            why = f"{columns} places are the cells of the grids over {preprocess.width}x{preprocess.height}"
        else:
            return None
        labels = reading.labels(signature, count)
        preprocess = reading.exported(signature, preprocess)
        decoder = Columns(labels, guessed="task" not in metadata and not forced)
        shorter = Shorter(0, len(labels), 0, lambda maps: replace(decoder, maps=maps)) if labels else None
        return Recognised(self.name, "detection", labels, preprocess, decoder, why, shorter=shorter)
