"""Query models whose boxes and logits come out raw: `pred_boxes` (B, Q, 4), centre and size in 0..1, and `logits`.

DETR (https://github.com/facebookresearch/detr) and what Hugging Face's exporter writes of DETR, YOLOS, Table
Transformer, Conditional and Deformable DETR, RT-DETR and D-FINE
(https://huggingface.co/docs/transformers/model_doc/detr).

What logits mean: DETR, YOLOS and Table Transformer have one more than classes, the last for "no object", and a softmax
over them; Conditional and Deformable DETR, RT-DETR and D-FINE one per class, each with a sigmoid. The sidecar's
`activation` decides (`softmax`, `sigmoid`, or `none` where the graph has done it); else the number of names, where
there are names; else COCO's numbers (92 is softmax, 91 and 80 are sigmoid); else what the graph does, as deformable
attention (GridSample) and the choice of queries (TopK) came with the sigmoid.

Pixels: ImageNet's mean and deviation at the picture's own shape, up to 1333 (DETR's processor), but 0..1 stretched to
a square for RT-DETR and D-FINE, which alone have 80 logits or choose their queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.coco import COCO_91
from vidette.families.rtdetr import square
from vidette.kernels import heads, queries
from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

Activation = Literal["softmax", "sigmoid", "none"]

LOGITS = ("logits", "pred_logits")
BOXES = ("pred_boxes", "boxes")
LONGER_SIDE = 1333  # of DETR's processor: the shorter side becomes 800, the longer at most this


@dataclass(frozen=True, slots=True)
class Queries:
    """Decodes logits (Q, C), boxes (Q, 4) and, where there are any, mask logits (Q, h, w), at these places of the
    outputs. Logits behind the names are for "no object"."""

    labels: tuple[str, ...]
    activation: Activation
    logits: int
    boxes: int
    masks: int | None = None

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`. `iou` and `agnostic` have no effect."""
        logits, boxes = outputs[self.logits], outputs[self.boxes]
        least = len(self.labels) + (self.activation == "softmax")
        if logits.ndim != 2 or logits.shape[1] < max(least, 1) or boxes.shape != (len(logits), 4):
            raise reading.misshapen(outputs, f"logits (Q, {least} or more) and boxes (Q, 4)")
        allowed = limits.class_mask(len(self.labels))
        size = letterbox.input_width, letterbox.input_height
        values = heads.readable(boxes), heads.readable(logits), allowed, limits.confidence, *size
        if self.activation == "softmax":
            candidates, places, state = queries.exclusive(*values)
        else:
            candidates, places, state = queries.pairs(*values, self.activation == "sigmoid")
        xyxy, confidence, class_id, chosen = reading.survivors(candidates, state, letterbox, limits, suppressed=True)
        cut = reading.cut(candidates, limits)
        masks = None if self.masks is None else self._masks(outputs, places[chosen], letterbox, limits)
        return Detections(xyxy, confidence, class_id, self.labels, cut=cut, masks=masks)

    def _masks(
        self, outputs: Sequence[npt.NDArray[Any]], chosen: npt.NDArray[np.int64], box: Letterbox, limits: Thresholds
    ) -> Masks:
        maps = outputs[self.masks or 0]
        if maps.ndim != 3 or len(maps) != len(outputs[self.boxes]):
            raise reading.misshapen(outputs, f"mask logits ({len(outputs[self.boxes])}, h, w)")
        made = queries.masks(
            heads.readable(maps),
            chosen,
            box.inverse,
            box.input_width,
            box.input_height,
            box.width,
            box.height,
            limits.masks == "accurate",
        )
        return Masks(*made, limits.outline)


class Detr:
    """By name: an output of logits and one of boxes, of rank three and as many queries."""

    name = "detr"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        logits, boxes = place(signature, LOGITS), place(signature, BOXES)
        if preprocess is None or logits is None or boxes is None:
            return None
        head, corners = signature.outputs[logits], signature.outputs[boxes]
        if len(head.shape) != 3 or len(corners.shape) != 3 or corners.shape[2] not in (4, None):
            return None
        if None not in (head.shape[1], corners.shape[1]) and head.shape[1] != corners.shape[1]:
            return None
        count = head.shape[2]
        names = reading.labels(signature, None)
        activation, reason = activated(signature, head, len(names))
        spare = activation == "softmax"
        if names and count is not None and len(names) not in ((count - 1,) if spare else (count, count - 1)):
            raise ModelError(
                f"{len(names)} labels, but the model has {count} logits" + (", the last for no object" if spare else "")
                + ": correct the labels, or `activation` in the YAML beside the model"
            )  # fmt: skip
        if not names and count is None:
            raise ModelError("the file does not say how many classes it has: write `labels: [name, ...]` beside it")
        if not names and count:
            classes = count - spare
            names = COCO_91 if classes == len(COCO_91) else tuple(str(i) for i in range(classes))
        why = f"outputs {head.name} and {corners.name}, {reason}"
        chooses = "TopK" in signature.ops or count == 80
        prepared = square(preprocess, signature, preprocess.size) if chooses else own_shape(preprocess)
        prepared = replace(prepared, antialias=True)
        return Recognised(self.name, "detection", names, prepared, Queries(names, activation, logits, boxes), why)


def place(signature: Signature, names: Sequence[str]) -> int | None:
    """Where among the outputs the first one of these names stands."""
    found = {output.name: index for index, output in enumerate(signature.outputs)}
    return next((found[name] for name in names if name in found), None)


def own_shape(preprocess: Preprocess) -> Preprocess:
    """As DETR's processor does: scaled by one factor (to whole strides here), ImageNet's mean and deviation."""
    fixed = bool(preprocess.width and preprocess.height)
    sized = replace(preprocess, resize="stretch", size=preprocess.size if fixed else LONGER_SIDE)
    return reading.normalised(sized, *reading.IMAGENET)


def activated(signature: Signature, logits: Tensor, names: int) -> tuple[Activation, str]:
    """What becomes of the logits, and by which fact. Raises ModelError when the sidecar says what cannot be."""
    count, stated = logits.shape[2], signature.sidecar.get("activation")
    if stated is not None:
        if stated not in ("softmax", "sigmoid", "none"):
            raise ModelError(f"{where(signature.sidecar, 'activation')}: must be softmax, sigmoid or none")
        return stated, f"{stated} as the sidecar says"
    if logits.op in ("Sigmoid", "Softmax"):
        return "none", f"whose {logits.op.lower()} is in the graph"
    if names and count is not None:
        if count == names + 1:
            return "softmax", f"one of the {count} logits is for no object: softmax"
        return "sigmoid", f"{count} logits for {names} names: sigmoid"
    if count == len(COCO_91) + 1:
        return "softmax", f"{count} logits, COCO's ids and no object: softmax"
    if count in (len(COCO_91), 80):
        return "sigmoid", f"{count} logits, COCO's classes: sigmoid"
    if signature.ops & {"GridSample", "TopK"}:
        return "sigmoid", "deformable attention or a choice of queries in the graph: sigmoid"
    return "softmax", "neither deformable attention nor a choice of queries in the graph: softmax"
