"""Ultralytics segmentation: boxes with mask coefficients, and (B, K, h, w) prototypes, in one of two layouts.

Raw (B, 4 + C + K, N): centre and size in input pixels, one score per class, the K coefficients; v8, v9, 11, 12 and 26
without its end-to-end head. Finished (B, M, 6 + K): corners in input pixels, score, class, coefficients; YOLO26 end to
end, and exports with suppression inside the graph (https://docs.ultralytics.com/tasks/segment/).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import prototypes, reading
from vidette.families.base import Recognised, Shorter, Thresholds
from vidette.families.end_to_end import EndToEnd
from vidette.families.maps import Maps
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.signature import Signature, Tensor


@dataclass(frozen=True, slots=True)
class Segments:
    """Decodes one (4 + C + K, N) head, or (M, 6 + K) rows where it is `finished`, with (K, h, w) prototypes.

    `head` and `prototypes` are the places of the two among the outputs.
    """

    labels: tuple[str, ...]
    finished: bool
    head: int
    prototypes: int
    maps: Maps | None = None  # of a graph that was cut short, in place of a raw head: all other outputs before these

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect on finished rows."""
        if self.maps is not None:
            found = self.maps.candidates(outputs, len(self.labels), limits)
            others = self.maps.others(outputs)
            return prototypes.segmented(found, others, outputs[-1], letterbox, limits, self.labels)
        head, over = outputs[self.head], outputs[self.prototypes]
        channels = len(over) if over.ndim == 3 else 0
        if self.finished:
            if head.ndim != 2 or not channels or head.shape[1] != 6 + channels:
                raise reading.misshapen(outputs, "(M, 6 + K) and (K, h, w)")
            found = reading.objects(head, limits, self.labels)
        else:
            classes = len(self.labels) or len(head) - 4 - channels
            if head.ndim != 2 or not channels or not len(head) == 4 + classes + channels > 4 + channels:
                raise reading.misshapen(outputs, f"(4 + {max(classes, 1)} + K, N) and (K, h, w)")
            found = heads.columns(heads.readable(head), limits.class_mask(classes), limits.confidence)
        coefficients = head[:, 6:] if self.finished else head[len(head) - channels :].T
        return prototypes.segmented(found, coefficients, over, letterbox, limits, self.labels, suppressed=self.finished)


class UltralyticsSegmentation:
    """By metadata `task: segment`, or by shape: a head with as many numbers to spare as there are prototypes."""

    name = "ultralytics-segment"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        flat, maps = prototypes.places(signature)
        told = signature.metadata.get("task")
        forced = reading.forced(signature, self.name)
        sure = forced or told == "segment"
        if preprocess is None or len(flat) != 1 or len(signature.outputs) > 2 or (told and not sure):
            return None
        if not sure and len(maps) != 1:
            return None
        why = "the sidecar says so" if forced else "metadata says task segment"
        if not maps:
            raise ModelError(
                f"{why}, but there is no output (batch, channels, height, width): masks cannot be made without "
                "prototypes; export the model with both of its outputs"
            )
        head, over = signature.outputs[flat[0]], signature.outputs[maps[0]]
        finished = self._finished(signature, head, over)
        if not sure:
            if not self._by_shape(preprocess, head, over, finished):
                return None
            why = f"as many numbers for each object as there are prototypes: {over.shape[1]}"
        count = self._classes(head, over, finished, why)
        labels = reading.labels(signature, count)
        layout = "objects, 6 + K" if finished else f"4 + {count or 'C'} + K, places"
        decoder = Segments(labels, finished, flat[0], maps[0])
        shorter = None
        if labels and over.shape[1] and not finished:
            shorter = Shorter(flat[0], len(labels), over.shape[1], lambda found: replace(decoder, maps=found))
        why = f"{why}, outputs are (batch, {layout}) and prototypes (batch, K, height, width)"
        preprocess = reading.exported(signature, preprocess)
        return Recognised(self.name, "segmentation", labels, preprocess, decoder, why, shorter=shorter)

    def _finished(self, signature: Signature, head: Tensor, over: Tensor) -> bool:
        """Whether rows are objects: by the exporter's word, else by their length."""
        told = reading.end_to_end(signature)
        channels = over.shape[1]
        return told if told is not None else channels is not None and head.shape[2] == 6 + channels

    def _classes(self, head: Tensor, over: Tensor, finished: bool, why: str) -> int | None:
        """How many classes a raw head has; None where the file does not say. Raises ModelError when it has none."""
        channels = over.shape[1]
        numbers = head.shape[2] if finished else head.shape[1]
        if channels is None or numbers is None:
            return None
        spare = numbers - channels - (6 if finished else 4)
        if spare != 0 if finished else spare < 1:
            layout = "a box, a score and a class" if finished else "a box and at least one score"
            raise ModelError(
                f"{why}, but output {head.name} has {numbers} numbers for each object, which are not {layout} and a "
                f"coefficient for each of the {channels} prototypes in {over.name}: export the model again"
            )
        return None if finished else spare

    def _by_shape(self, preprocess: Preprocess, head: Tensor, over: Tensor, finished: bool) -> bool:
        """Whether the shapes fit so well that no metadata are needed."""
        channels = over.shape[1]
        _, rows, columns = head.shape
        sizes = (*over.shape[1:], preprocess.width, preprocess.height)
        if not channels or None in sizes or not prototypes.lie_over(preprocess, over):
            return False
        if finished:
            return columns == 6 + channels and (rows or 0) <= EndToEnd.MOST
        fit = reading.grids(preprocess, columns)
        return fit is not None and fit[0] == 1 and rows is not None and rows > 4 + channels
