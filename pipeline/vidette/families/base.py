"""What a family is: how to recognise a model file, and how to turn its outputs into predictions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vidette.pixels.letterbox import Letterbox
from vidette.pixels.preprocess import Preprocess
from vidette.predictions import Predictions
from vidette.predictions.masks import Outline
from vidette.signature import Signature

if TYPE_CHECKING:
    from vidette.families.maps import Maps

Task = Literal["detection", "keypoints", "segmentation", "oriented", "classification", "semantic"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What decides which candidates become objects.

    confidence      candidates score above it
    iou             overlap above which NMS drops the weaker of two boxes (ignored by end-to-end heads)
    rotated_iou     how the overlap of oriented boxes is measured: `probabilistic` (ProbIoU with fast suppression, as
                    Ultralytics does) or `exact` (shared area of the two rectangles, greedy)
    agnostic        NMS across classes
    classes         class ids to keep, None for all
    names           names of classes to keep, where numbers become known with the answers only (families/remote.py)
    max_detections  objects kept per picture, best first
    max_candidates  candidates that enter NMS, best first: bounds the worst case; what is cut is reported
    masks           `accurate` at the resolution of the source picture, `fast` at that of the model's prototypes
    outline         how masks become polygons
    top_k           classes that a classifier answers with, best first
    """

    confidence: float = 0.25
    iou: float = 0.45
    agnostic: bool = False
    classes: tuple[int, ...] | None = None
    max_detections: int = 300
    max_candidates: int = 3000
    masks: Literal["accurate", "fast"] = "accurate"
    outline: Outline = field(default_factory=Outline)
    top_k: int = 5
    rotated_iou: Literal["probabilistic", "exact"] = "probabilistic"
    names: frozenset[str] | None = None

    def class_mask(self, count: int) -> npt.NDArray[np.bool_]:
        """(count,) bool: which classes may appear. Shared by all who ask: not to be written to."""
        return _class_mask(self.classes, count)


@lru_cache(maxsize=64)
def _class_mask(classes: tuple[int, ...] | None, count: int) -> npt.NDArray[np.bool_]:
    mask = np.full(count, classes is None)
    for index in classes or ():
        if index < count:
            mask[index] = True
    return mask


class Decoder(Protocol):
    """Turns what a model returned for one picture into predictions."""

    def __call__(self, outputs: Sequence[npt.NDArray[Any]], letterbox: Letterbox, limits: Thresholds) -> Predictions:
        """Decode one picture: `outputs` are this picture's rows of all outputs, without the batch dimension, in the
        order of the file, valid only during the call: what is returned must not share their memory.

        Everything comes back in source pixels, boxes clipped to the picture, best first. Raises DecodeError: `nan` when
        a score is not a number, `shape` when a run returns something else than was declared.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shorter:
    """What one output is made of, where objects can be decoded without it (`shortening.py`).

    output   its place among the outputs, which is (B, 4 + C + K, N): boxes, scores, other numbers that the graph copies
    classes  C
    others   K
    decoder  what decodes the maps, followed by the other outputs
    """

    output: int
    classes: int
    others: int
    decoder: "Callable[[Maps], Decoder]" = field(compare=False)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A family's claim on a model file. `why` says in one line by which facts."""

    family: str
    task: Task
    labels: tuple[str, ...]
    preprocess: Preprocess
    decoder: Decoder
    why: str
    defaults: Thresholds = Thresholds()
    dynamic: bool = False  # the file declares fixed sizes, but works at any: its declaration is opened before loading
    one_by_one: bool = False  # outputs have no batch axis: a run takes one picture, and the decoder gets them whole
    shorter: Shorter | None = None  # how objects can be decoded where the graph ends before its output


class Family(Protocol):
    """One file, one table line in `families/__init__.py`, one test."""

    name: str

    def recognise(self, signature: Signature) -> Recognised | None:
        """Claim a model or leave it to others. Raises ModelError when it is ours but contradicts itself."""
        ...
