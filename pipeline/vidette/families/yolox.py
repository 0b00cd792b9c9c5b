"""YOLOX as its exporter writes it: (B, N, 5 + C), boxes relative to the cells of the grids, one row per cell.

https://github.com/Megvii-BaseDetection/YOLOX (tools/export_onnx.py without --decode_in_inference, demo/ONNXRuntime):
input BGR 0..255 in the upper left corner of grey 114, no normalisation since release 0.1.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature


@dataclass(frozen=True, slots=True)
class Grid:
    """Decodes one (cells, 5 + C) head over the grids of `strides`."""

    labels: tuple[str, ...]
    strides: tuple[int, ...]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        head = outputs[0]
        width, height = letterbox.input_width, letterbox.input_height
        classes = len(self.labels) or head.shape[-1] - 5
        cells = reading.cells(width, height, self.strides)
        if head.ndim != 2 or not head.shape[1] == 5 + classes > 5 or head.shape[0] != cells:
            raise reading.misshapen(outputs, f"({cells}, {5 + classes}) for an input of {width}x{height}")
        candidates, _, state = heads.rows(
            heads.readable(head),
            limits.class_mask(classes),
            limits.confidence,
            np.array(self.strides, np.int64),
            width,
            height,
        )
        # YOLOX divides both axes by the one ratio it aimed at, not by what whole pixels made of it: up to one input
        # pixel at the far border, but the boxes that everybody else has of these models.
        back = max(letterbox.width / width, letterbox.height / height)
        inverse = np.array([back, back, 0.0, 0.0])
        return reading.detections(candidates, state, letterbox, limits, self.labels, inverse=inverse)


class Yolox:
    """By shape: one row for each cell of the grids over a fixed input, where YOLOv5 and v7 have three.

    YOLOX files carry no metadata, so one with `task` or `names` is somebody else's. With height and width open the
    shape proves nothing: then the sidecar must say `family: yolox`, as for a grid of stride 64, which NanoDet-Plus has.
    """

    name = "yolox"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        forced = reading.forced(signature, self.name)
        output = signature.outputs[0]
        if preprocess is None or len(output.shape) != 3 or len(signature.outputs) != 1:
            return None
        _, rows, columns = output.shape
        if columns is None or columns < 6 or (not forced and signature.metadata.keys() & {"task", "names"}):
            return None
        fit = reading.grids(preprocess, rows)
        if fit and fit[0] == 1 and (forced or fit[1] == reading.STRIDES):
            strides = fit[1]
            why = f"{rows} rows are the cells of the grids over {preprocess.width}x{preprocess.height}"
        elif forced:
            strides = reading.STRIDES
            why = "the sidecar says so"
        else:
            return None
        labels = reading.labels(signature, columns - 5)
        preprocess = replace(preprocess, colour="bgr", scale=(1.0, 1.0, 1.0), resize="topleft", stride=strides[-1])
        return Recognised(self.name, "detection", labels, preprocess, Grid(labels, strides), why)
