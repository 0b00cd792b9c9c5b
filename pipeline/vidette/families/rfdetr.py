"""RF-DETR: `dets` (B, Q, 4), centre and size in 0..1, `labels` (B, Q, C) logits, and `masks` (B, Q, h, w) logits.

https://github.com/roboflow/rf-detr (src/rfdetr/export, models/postprocess.py): the picture is stretched, ImageNet's
mean and deviation; each logit has a sigmoid, the best pairs of query and class are the objects; masks are scaled to the
picture and positive inside, they are not cut at the boxes. The published weights number classes as COCO does (1..90 of
91 logits); models of one's own count from 0 and have one logit more than classes, which names nothing. Newer exports
tell names and numbers in the metadata (`rfdetr_inference`).
"""

import json
from dataclasses import replace
from typing import Any

from vidette.errors import ModelError
from vidette.families import reading
from vidette.families.base import Recognised, Task
from vidette.families.coco import COCO_91
from vidette.families.detr import Queries, place
from vidette.families.rtdetr import square
from vidette.signature import Signature

METADATA = "rfdetr_inference"
_CHARACTERS = 1_000_000  # of metadata that are parsed: they come from strangers


class RfDetr:
    """By name and shape: outputs `dets` with four numbers and `labels` with a logit per class, perhaps `masks`."""

    name = "rf-detr"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        boxes, logits, masks = (place(signature, (name,)) for name in ("dets", "labels", "masks"))
        if preprocess is None or preprocess.extras or boxes is None or logits is None:
            return None
        if len(signature.outputs) != 2 + (masks is not None):  # a model of keypoints has them as another output
            return None
        corners, head = signature.outputs[boxes], signature.outputs[logits]
        if len(corners.shape) != 3 or corners.shape[2] != 4 or len(head.shape) != 3 or "int" in head.dtype:
            return None
        if masks is not None and len(signature.outputs[masks].shape) != 4:
            return None
        told = metadata(signature)
        names = labels(signature, head.shape[2], told)
        why = f"outputs dets (batch, queries, 4) and labels (batch, queries, {head.shape[2] or 'classes'})"
        task: Task = "detection" if masks is None else "segmentation"
        sized = replace(square(preprocess, signature, preprocess.size), antialias=True)
        prepared = reading.normalised(sized, *normalisation(told))
        if masks is not None:
            why += ", and masks"
        return Recognised(self.name, task, names, prepared, Queries(names, "sigmoid", logits, boxes, masks), why)


def metadata(signature: Signature) -> dict[str, Any]:
    """What the package's exporter tells; nothing where it tells nothing, or not in JSON."""
    text = signature.metadata.get(METADATA, "")
    try:
        told = json.loads(text) if len(text) <= _CHARACTERS else None
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def normalisation(told: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation for pixels in 0..1."""
    mean, deviation = told.get("means"), told.get("stds")
    for values in (mean, deviation):
        if not (isinstance(values, list) and len(values) == 3 and all(isinstance(v, int | float) for v in values)):
            return reading.IMAGENET
    if not all(value > 0 for value in deviation or ()):
        return reading.IMAGENET
    return tuple(mean or ()), tuple(deviation or ())


def labels(signature: Signature, count: int | None, told: dict[str, Any]) -> tuple[str, ...]:
    """A name for each logit, or for all but the last. Raises ModelError when there are others."""
    names = reading.labels(signature, None)
    numbered = told.get("class_id_to_name")
    if not names and isinstance(numbered, dict) and all(key.isdecimal() and len(key) < 6 for key in numbered):
        by_id = {int(key): str(name) for key, name in numbered.items()}
        names = tuple(by_id.get(i, str(i)) for i in range(max(by_id, default=-1) + 1))
    if not names:
        if count is None:
            raise ModelError("the file does not say how many classes it has: write `labels: [name, ...]` beside it")
        return COCO_91 if count == len(COCO_91) else tuple(str(i) for i in range(count))
    if count is not None and len(names) not in (count, count - 1):
        raise ModelError(
            f"{len(names)} names, but the model has {count} logits, one per class and at most one for nothing: correct "
            "`labels` in the YAML beside the model"
        )
    return names
