"""YOLOv3 and YOLOv4 of Darknet: boxes (B, N, 1, 4), corners as parts of the input, and scores (B, N, C).

https://github.com/Tianxiaomo/pytorch-YOLOv4 (tool/yolo_layer.py, tool/utils.py): scores are objectness times class
already, suppression at 0.6 above 0.4. Input RGB 0..1, stretched.
"""

from dataclasses import replace

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.boxes_and_scores import Pair
from vidette.signature import Signature


class Darknet:
    """By shape: no other layout has boxes with an axis of one between places and sides."""

    name = "darknet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        outputs = signature.outputs
        if preprocess is None or len(outputs) != 2:
            return None
        boxes = next((i for i, output in enumerate(outputs) if output.shape[2:] == (1, 4)), None)
        if boxes is None or len(outputs[1 - boxes].shape) != 3:
            return None
        _, rows, classes = outputs[1 - boxes].shape
        if rows and outputs[boxes].shape[1] not in (rows, None):
            return None
        labels = reading.labels(signature, classes)
        preprocess = replace(preprocess, resize="stretch")
        why = f"boxes (batch, {rows or 'N'}, 1, 4) and scores (batch, {rows or 'N'}, {classes or 'C'})"
        decoder = Pair(labels, boxes, parts=True)
        return Recognised(self.name, "detection", labels, preprocess, decoder, why, Thresholds(0.4, 0.6))
