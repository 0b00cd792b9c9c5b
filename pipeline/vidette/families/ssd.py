"""SSD without suppression inside the graph: corrections of anchors, or boxes, beside scores with a background.

https://arxiv.org/abs/1512.02325. Anchors are an output of their own, or the published ones that have as many places:

- torchvision's ssd300_vgg16 (8732) and ssdlite320_mobilenet_v3_large (3234): `bbox_regression` (B, N, 4) x, y, w, h and
  `cls_logits` (B, N, 1 + C) (torchvision/models/detection/ssd.py, ssdlite.py, anchor_utils.py);
- TensorFlow's MobileNet SSD at 300 (1917): `box_encodings` y, x, h, w and `class_predictions`, each through a sigmoid
  (https://github.com/tensorflow/models, object_detection/export_tflite_ssd_graph_lib.py, anchor_generators/
  multiple_grid_anchor_generator.py);
- https://github.com/qfgaohao/pytorch-ssd at 300 (3000) and the face detectors made with it,
  https://github.com/Linzaier/Ultra-Light-Fast-Generic-Face-Detector-1MB at 320x240 (4420) and 640x480 (17640): boxes
  are corners in parts of the input already, scores through a softmax.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidette.families import reading
from vidette.families.base import Decoder, Recognised, Thresholds
from vidette.families.boxes_and_scores import Pair
from vidette.kernels import anchors, heads
from vidette.kernels.scores import PLAIN, SIGMOID, SOFTMAX
from vidette.pixels.letterbox import Letterbox
from vidette.predictions.detections import Detections
from vidette.signature import Signature

F64 = npt.NDArray[np.float64]
Size = tuple[float, float]


def tiled(maps: Sequence[int], sizes: Sequence[Sequence[Size]], steps: Sequence[float] = ()) -> F64:
    """(N, 4) centre x, centre y, width, height in parts of the input: row by row, all sizes of a cell together.

    `steps` are the distances between centres, one cell of each map where they are left out.
    """
    rows = []
    for level, side in enumerate(maps):
        step = steps[level] if steps else 1 / side
        centres = (np.arange(side) + 0.5) * step
        y, x = np.meshgrid(centres, centres, indexing="ij")
        each = len(sizes[level])
        places = np.repeat(np.stack([x.ravel(), y.ravel()], 1), each, axis=0)
        rows.append(np.column_stack([places, np.tile(np.array(sizes[level]), (side * side, 1))]))
    return np.concatenate(rows)


def _around(scale: float, following: float, ratios: Sequence[float]) -> list[Size]:
    """Sizes of one map as torchvision orders them: two squares, then each ratio lying and standing, none over 1."""
    middle = math.sqrt(scale * following)
    sizes = [(scale, scale), (middle, middle)]
    for ratio in ratios:
        wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        sizes += [(wide, narrow), (narrow, wide)]
    return [(min(width, 1.0), min(height, 1.0)) for width, height in sizes]


def torchvision_300() -> F64:
    """The 8732 anchors of ssd300_vgg16."""
    scales = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    ratios = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    sizes = [_around(scales[k], scales[k + 1], ratios[k]) for k in range(6)]
    steps = [step / 300 for step in (8, 16, 32, 64, 100, 300)]
    return tiled((38, 19, 10, 5, 3, 1), sizes, steps)


def torchvision_320() -> F64:
    """The 3234 anchors of ssdlite320_mobilenet_v3_large."""
    scales = [0.2 + 0.15 * k for k in range(6)] + [1.0]
    sizes = [_around(scales[k], scales[k + 1], (2, 3)) for k in range(6)]
    return tiled((20, 10, 5, 3, 2, 1), sizes)


def tensorflow_300() -> F64:
    """The 1917 anchors of MobileNet SSD; the lowest map has three sizes only."""
    scales = [0.2 + 0.15 * k for k in range(6)] + [1.0]

    def shaped(scale: float, ratio: float) -> Size:
        return scale * math.sqrt(ratio), scale / math.sqrt(ratio)

    sizes = [[shaped(0.1, 1.0), shaped(0.2, 2.0), shaped(0.2, 0.5)]]
    for k in range(1, 6):
        middle = math.sqrt(scales[k] * scales[k + 1])
        sizes.append([*(shaped(scales[k], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)), (middle, middle)])
    return tiled((19, 10, 5, 3, 2, 1), sizes)


@dataclass(frozen=True, slots=True)
class Anchored:
    """Decodes corrections (N, 4) and scores (N, 1 + C); the numbers are places of outputs.

    `fixed` are the anchors, (N, 4) centre x, centre y, width, height in parts of the input; None where output `given`
    has them, as centre y, centre x, height, width. `activation` is what scores still need (kernels/scores.py),
    `upright` whether corrections come as y, x, h, w.
    """

    labels: tuple[str, ...]
    deltas: int
    scores: int
    activation: int
    upright: bool
    fixed: F64 | None = field(default=None, repr=False)
    given: int = 0

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Detections:
        """See `Decoder`."""
        deltas, table = outputs[self.deltas], outputs[self.scores]
        boxes = outputs[self.given] if self.fixed is None else self.fixed
        if boxes.shape[1:] != (4,) or deltas.shape != boxes.shape or table.shape != (len(boxes), 1 + len(self.labels)):
            raise reading.misshapen(
                outputs, f"anchors (N, 4), corrections (N, 4) and scores (N, {1 + len(self.labels)})"
            )
        if self.fixed is None:
            boxes = boxes[:, [1, 0, 3, 2]]
        candidates, state = anchors.anchored(
            heads.readable(deltas),
            heads.readable(table),
            1,
            self.activation,
            np.ascontiguousarray(boxes, np.float64),
            self.upright,
            letterbox.input_width,
            letterbox.input_height,
            limits.class_mask(len(self.labels)),
            limits.confidence,
        )
        return reading.detections(candidates, state, letterbox, limits, self.labels)


Three = tuple[float, float, float]
HALF: Three = (0.5, 0.5, 0.5)
ALREADY = {SIGMOID: ("Sigmoid", "Softmax"), SOFTMAX: ("Softmax",)}


@dataclass(frozen=True, slots=True)
class Network:
    """A published network: the size it takes, its places, its anchors (None: boxes come finished), what its scores go
    through, and mean and deviation of its pixels in 0..1."""

    name: str
    size: tuple[int, int]
    places: int
    anchors: Callable[[], F64] | None
    activation: int
    mean: Three = HALF
    deviation: Three = HALF


CAFFE: tuple[Three, Three] = (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)
CENTRED: tuple[Three, Three] = (127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255)
PUBLISHED = (
    Network("MobileNet SSD of TensorFlow", (300, 300), 1917, tensorflow_300, SIGMOID),
    Network("ssd300 of torchvision", (300, 300), 8732, torchvision_300, SOFTMAX, *CAFFE),
    Network("ssdlite320 of torchvision", (320, 320), 3234, torchvision_320, SOFTMAX),
    Network("pytorch-ssd", (300, 300), 3000, None, PLAIN, *CENTRED),
    Network("pytorch-ssd's face detectors", (320, 240), 4420, None, PLAIN, *CENTRED),
    Network("pytorch-ssd's face detectors", (640, 480), 17640, None, PLAIN, *CENTRED),
)


class Ssd:
    """By shape: boxes and scores for as many places as a published network has at that size, or an anchors output."""

    name = "ssd"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`."""
        preprocess = reading.picture_input(signature)
        outputs = signature.outputs
        given = next((i for i, o in enumerate(outputs) if "anchor" in o.name.lower() and o.shape[2:] == (4,)), None)
        tables = [i for i in range(len(outputs)) if i != given]
        if preprocess is None or len(tables) != 2 or any(len(outputs[i].shape) != 3 for i in tables):
            return None
        boxes = next((i for i in tables if outputs[i].shape[2] == 4), tables[0])
        scores = tables[1] if boxes == tables[0] else tables[0]
        _, places, columns = outputs[scores].shape
        if outputs[boxes].shape[1:] != (places, 4) or not places or not columns or columns < 2:
            return None
        size = preprocess.width or 0, preprocess.height or 0
        network = next((known for known in PUBLISHED if (known.size, known.places) == (size, places)), None)
        if given is not None:
            network = Network("", size, places, None, SIGMOID)
        if network is None:
            return None
        labels = reading.labels(signature, columns - 1)
        activation = PLAIN if outputs[scores].op in ALREADY.get(network.activation, ()) else network.activation
        decoder: Decoder
        if given is not None:
            decoder = Anchored(labels, boxes, scores, activation, upright=True, given=given)
            why = f"corrections and scores of {places} anchors, and the anchors"
        elif network.anchors is None:
            decoder = Pair(labels, boxes, parts=True, background=True)
            why = f"{places} places are those of {network.name} at {size[0]}x{size[1]}, with finished boxes"
        else:
            upright = network.anchors is tensorflow_300
            decoder = Anchored(labels, boxes, scores, activation, upright, network.anchors())
            why = f"{places} places are those of {network.name}"
        preprocess = replace(reading.normalised(preprocess, network.mean, network.deviation), resize="stretch")
        return Recognised(self.name, "detection", labels, preprocess, decoder, why, Thresholds(iou=0.5))
