"""FaceBoxes: faces, with suppression inside the graph.

https://github.com/TropComplique/FaceBoxes-tensorflow (model.py, save.py; https://arxiv.org/abs/1708.05234): `boxes` (B,
M, 4) as y1, x1, y2, x2 in parts of the picture, `scores` (B, M), `num_boxes` (B,) int32; input bytes RGB of any size,
channels last.
"""

from dataclasses import replace

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.tensorflow import Finished, by_name, whole_picture
from vidette.signature import Signature

NAMES = {"boxes", "scores", "num_boxes"}
TRAINED_AT = 1024  # pixels: at 640 it misses faces


class FaceBoxes:
    """By the names of the outputs: exactly `boxes`, `scores` and `num_boxes`."""

    name = "faceboxes"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = whole_picture(signature)
        places = by_name(signature)
        if preprocess is None or places.keys() != NAMES:
            return None
        preprocess = replace(preprocess, size=preprocess.size if preprocess.width else TRAINED_AT)
        labels = reading.one_label(signature, "face")
        decoder = Finished(labels, places["boxes"], places["scores"], count=places["num_boxes"])
        why = "outputs named boxes, scores and num_boxes after an input with channels last"
        return Recognised(self.name, "detection", labels, preprocess, decoder, why, Thresholds(confidence=0.5))
