"""RT-DETR and its kin with finished objects: as Ultralytics exports it, and as its authors do (also D-FINE, DEIM).

Ultralytics (https://docs.ultralytics.com/models/rtdetr/): (B, 300, 6), centre x, centre y, width, height in 0..1,
score, class; before 8.4 (B, 300, 4 + C) with a score per class, of which a query's best counts. The picture is
stretched to a square.

RT-DETR, RT-DETRv2 (https://github.com/lyuwenyu/RT-DETR), D-FINE (https://github.com/Peterande/D-FINE) and DEIM
(https://github.com/ShihuaHuang95/DEIM), tools/export_onnx.py of each: inputs `images` and `orig_target_sizes` (B, 2),
outputs `labels`, `boxes`, `scores`, where boxes are corners multiplied by `orig_target_sizes` as (width, height): given
the size of the model's input, they come out in its pixels. Pixels are 0..1 and the picture is stretched, as in training
and evaluation. D-FINE's and DEIM's onnx_inf.py letterboxes on black instead, which only looks more natural: for that
write `input: {resize: letterbox, pad: 0}` into the sidecar. DEIMv2 with a DINOv3 backbone wants ImageNet's mean and
deviation, which nothing in the file tells: write `mean` and `std` into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.kernels import heads, queries
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.signature import Signature

MOST = 1000  # queries that models have, 300 usually: more rows are the cells of a grid
SIZES = "orig_target_sizes"
NAMES = ("labels", "boxes", "scores")


def square(preprocess: Preprocess, signature: Signature, size: int) -> Preprocess:
    """Stretched; where the file takes any size, at the one square that such models are trained for."""
    stated = signature.sidecar.get("input", {}).get("size", size)
    width, height = (stated, stated) if isinstance(stated, int) else stated
    return replace(
        preprocess,
        resize="stretch",
        width=preprocess.width or width,
        height=preprocess.height or height,
        size=max(preprocess.width or width, preprocess.height or height),
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """Decodes one (M, 6) or (M, 4 + C) head: centre x, centre y, width, height in 0..1, then score and class, or a
    score per class. Files do not always declare which; `pair` says that six columns are the scores of two classes.
    """

    labels: tuple[str, ...]
    pair: bool = False

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        head, classes = outputs[0], len(self.labels)
        if head.ndim == 2 and head.shape[1] == 6 and not self.pair:
            rows = queries.corners(heads.readable(head), letterbox.input_width, letterbox.input_height)
            return reading.finished(rows, letterbox, limits, self.labels)
        if head.ndim != 2 or not head.shape[1] == 4 + classes > 4:
            raise reading.misshapen(outputs, f"(M, 6) or (M, {4 + classes})")
        columns = np.array(head.T, np.float32, order="C")
        columns[0:4:2] *= letterbox.input_width
        columns[1:4:2] *= letterbox.input_height
        candidates, _, state = heads.columns(heads.readable(columns), limits.class_mask(classes), limits.confidence)
        return reading.detections(candidates, state, letterbox, limits, self.labels, suppressed=True)


@dataclass(frozen=True, slots=True)
class Triple:
    """Decodes labels (M,), boxes (M, 4) corners in input pixels and scores (M,), at these places of the outputs."""

    labels: tuple[str, ...]
    places: tuple[int, int, int]

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        classes, boxes, scores = (outputs[place] for place in self.places)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or classes.shape != boxes.shape[:1] or scores.shape != classes.shape:
            raise reading.misshapen(outputs, "labels (M), boxes (M, 4) and scores (M)")
        rows = np.empty((len(boxes), 6), np.float32)
        rows[:, :4], rows[:, 4], rows[:, 5] = boxes, scores, classes
        return reading.finished(rows, letterbox, limits, self.labels)


class RtDetr:
    """By the names of inputs and outputs, or by what Ultralytics' exporter says (`head`, else the description)."""

    name = "rt-detr"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        if preprocess is None:
            return None
        if any(extra.name == SIZES for extra in preprocess.extras):
            return self._of_the_authors(signature, preprocess)
        if preprocess.extras or signature.metadata.get("task", "detect") != "detect":
            return None
        return self._of_ultralytics(signature, preprocess)

    def _of_the_authors(self, signature: Signature, preprocess: Preprocess) -> Recognised | None:
        names = [output.name for output in signature.outputs]
        if sorted(names) != sorted(NAMES):
            return None
        labels = reading.labels(signature, None)
        places = names.index(NAMES[0]), names.index(NAMES[1]), names.index(NAMES[2])
        why = f"a second input {SIZES}, and outputs {', '.join(names)}: RT-DETR, D-FINE or DEIM"
        preprocess = replace(square(preprocess, signature, preprocess.size), antialias=True)
        return Recognised(self.name, "detection", labels, preprocess, Triple(labels, places), why)

    def _of_ultralytics(self, signature: Signature, preprocess: Preprocess) -> Recognised | None:
        shape = signature.outputs[0].shape
        if len(signature.outputs) != 1 or len(shape) != 3:
            return None
        _, rows, columns = shape
        told, finished = reading.told_rtdetr(signature), reading.end_to_end(signature)
        names = reading.labels(signature, None)
        if told:
            why = "metadata says that the head is RT-DETR's"
        elif reading.forced(signature, self.name):
            why = "the sidecar says so"
        elif (
            # Its word for itself is younger than the model: 4 + C columns are nobody else's (YOLOv5 has 5 + C), unless
            # they are finished, as oriented boxes of three classes.
            (names and columns == 4 + len(names) != 6 and not finished)
            and (rows and rows <= MOST and not reading.grids(preprocess, rows))
        ):
            why = f"{rows} rows of four numbers and a score for each of the {len(names)} names"
        elif columns == 6 and rows and rows <= MOST and "args" in signature.metadata and finished is False:
            why = "six columns are finished objects, but metadata say neither end2end nor nms: only RT-DETR is so"
        else:
            return None
        if columns is not None and columns != 6:
            names = reading.labels(signature, columns - 4)
        # With six columns and two names only the age tells: `end2end` is as young as score and class.
        pair = len(names) == 2 and "end2end" not in signature.metadata
        preprocess = square(preprocess, signature, reading.exported(signature, preprocess).size)
        return Recognised(self.name, "detection", names, preprocess, Rows(names, pair), why)
