"""Ultralytics segmentation: boxes with mask coefficients, and (B, K, h, w) prototypes, in one of two layouts.

Raw (B, 4 + C + K, N): centre and size in input pixels, one score per class, the K coefficients; v8, v9, 11, 12 and 26
without its end-to-end head. Finished (B, M, 6 + K): corners in input pixels, score, class, coefficients; YOLO26 end to
end, and exports with suppression inside the graph (https://docs.ultralytics.com/tasks/segment/). As in `predict`, an
object without a pixel in its box is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads, masks
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
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

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect on finished rows."""
        head, prototypes = outputs[self.head], outputs[self.prototypes]
        channels = len(prototypes) if prototypes.ndim == 3 else 0
        if self.finished:
            if head.ndim != 2 or not channels or head.shape[1] != 6 + channels:
                raise reading.misshapen(outputs, "(M, 6 + K) and (K, h, w)")
            found = reading.objects(head, limits, self.labels)
        else:
            classes = len(self.labels) or len(head) - 4 - channels
            if head.ndim != 2 or not channels or not len(head) == 4 + classes + channels > 4 + channels:
                raise reading.misshapen(outputs, f"(4 + {max(classes, 1)} + K, N) and (K, h, w)")
            found = heads.columns(heads.readable(head), limits.class_mask(classes), limits.confidence)
        candidates, places, state = found
        xyxy, confidence, class_id, chosen = reading.survivors(
            candidates, state, letterbox, limits, suppressed=self.finished
        )
        kept = places[chosen]
        coefficients = head[kept, 6:] if self.finished else head[len(head) - channels :, kept].T
        made, visible = self._masks(coefficients, prototypes, xyxy, letterbox, limits)
        cut = reading.cut(candidates, limits)
        every = Detections(xyxy, confidence, class_id, self.labels, cut=cut, masks=made)
        return every if visible.all() else every.take(np.flatnonzero(visible))

    def _masks(
        self,
        coefficients: npt.NDArray[Any],
        prototypes: npt.NDArray[Any],
        xyxy: npt.NDArray[np.float32],
        letterbox: Letterbox,
        limits: Thresholds,
    ) -> tuple[Masks, npt.NDArray[np.bool_]]:
        """One mask per box, and which of them are not empty."""
        left, top = letterbox.left, letterbox.top
        bits, starts, sizes, extents, found, state = masks.assemble(
            heads.readable(coefficients),
            heads.readable(prototypes),
            xyxy,
            letterbox.inverse,
            np.array([left, top, left + letterbox.scaled_width, top + letterbox.scaled_height], np.int64),
            np.array([letterbox.input_width, letterbox.input_height], np.int64),
            letterbox.width,
            letterbox.height,
            limits.masks == "accurate",
        )
        if state != heads.OK:
            raise reading.not_numbers()
        return Masks(bits, starts, sizes, extents, limits.outline), found


class UltralyticsSegmentation:
    """By metadata `task: segment`, or by shape: a head with as many numbers to spare as there are prototypes."""

    name = "ultralytics-segment"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        flat = [i for i, output in enumerate(signature.outputs) if len(output.shape) == 3]
        maps = [i for i, output in enumerate(signature.outputs) if len(output.shape) == 4]
        told = signature.metadata.get("task")
        sure = reading.forced(signature, self.name) or told == "segment"
        if preprocess is None or len(flat) != 1 or len(signature.outputs) > 2 or (told and not sure):
            return None
        if not sure and len(maps) != 1:
            return None
        why = "metadata says task segment" if told == "segment" else "the sidecar says so"
        if not maps:
            raise ModelError(
                f"{why}, but there is no output (batch, channels, height, width): masks cannot be made without "
                "prototypes; export the model with both of its outputs"
            )
        head, prototypes = signature.outputs[flat[0]], signature.outputs[maps[0]]
        finished = self._finished(signature, head, prototypes)
        if not sure:
            if not self._by_shape(preprocess, head, prototypes, finished):
                return None
            why = f"as many numbers for each object as there are prototypes: {prototypes.shape[1]}"
        count = self._classes(head, prototypes, finished, why)
        labels = reading.labels(signature, count)
        layout = "objects, 6 + K" if finished else f"4 + {count or 'C'} + K, places"
        return Recognised(
            self.name,
            "segmentation",
            labels,
            reading.exported(signature, preprocess),
            Segments(labels, finished, flat[0], maps[0]),
            f"{why}, outputs are (batch, {layout}) and prototypes (batch, K, height, width)",
        )

    def _finished(self, signature: Signature, head: Tensor, prototypes: Tensor) -> bool:
        """Whether rows are objects: by the exporter's word, else by their length."""
        told = reading.end_to_end(signature)
        channels = prototypes.shape[1]
        return told if told is not None else channels is not None and head.shape[2] == 6 + channels

    def _classes(self, head: Tensor, prototypes: Tensor, finished: bool, why: str) -> int | None:
        """How many classes a raw head has; None where the file does not say. Raises ModelError when it has none."""
        channels = prototypes.shape[1]
        numbers = head.shape[2] if finished else head.shape[1]
        if channels is None or numbers is None:
            return None
        spare = numbers - channels - (6 if finished else 4)
        if spare != 0 if finished else spare < 1:
            layout = "a box, a score and a class" if finished else "a box and at least one score"
            raise ModelError(
                f"{why}, but output {head.name} has {numbers} numbers for each object, which are not {layout} and a "
                f"coefficient for each of the {channels} prototypes in {prototypes.name}: export the model again"
            )
        return None if finished else spare

    def _by_shape(self, preprocess: Preprocess, head: Tensor, prototypes: Tensor, finished: bool) -> bool:
        """Whether the shapes fit so well that no metadata are needed."""
        _, channels, down, across = prototypes.shape
        _, rows, columns = head.shape
        if not (channels and down and across and preprocess.width and preprocess.height):
            return False
        if preprocess.width * down != preprocess.height * across or across >= preprocess.width:
            return False
        if finished:
            return columns == 6 + channels
        fit = reading.grids(preprocess, columns)
        return fit is not None and fit[0] == 1 and rows is not None and rows > 4 + channels
