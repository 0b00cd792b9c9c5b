"""How far a cheaper model says the same as the original."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap

SURE = 0.35
"""Objects that the original is so sure of must be found again; those below come and go by themselves."""

_SAME = 0.5  # IoU, and part of a semantic map's samples, above which two answers mean the same


@dataclass(slots=True)
class Agreement:
    """Counts over the pictures that were compared.

    objects      of the original above `SURE`; a classification or a semantic map counts as one
    lost         of those, without a counterpart: the same class, half of the box shared
    new          objects of the other above `SURE` without a counterpart of any confidence
    iou          of each pair; of a semantic map the part of its samples with the same class
    confidence   of each pair, the difference
    """

    pictures: int = 0
    objects: int = 0
    lost: int = 0
    new: int = 0
    iou: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)

    def add(self, original: Predictions, other: Predictions) -> None:
        """Compare the answers to one picture."""
        self.pictures += 1
        if isinstance(original, Detections) and isinstance(other, Detections):
            self._boxes(original, other)
        elif isinstance(original, Classification) and isinstance(other, Classification):
            self._classes(original, other)
        elif isinstance(original, SemanticMap) and isinstance(other, SemanticMap):
            self._maps(original, other)

    def _boxes(self, original: Detections, other: Detections) -> None:
        sure, found = np.flatnonzero(original.confidence > SURE), set()
        shared = _iou(original.xyxy, other.xyxy) * (original.class_id[:, None] == other.class_id[None])
        counterparts = np.zeros(len(other), bool) if not len(original) else shared.max(axis=0, initial=0) > _SAME
        self.new += int(np.count_nonzero((other.confidence > SURE) & ~counterparts))
        self.objects += len(sure)
        for _ in sure:
            table = shared[sure]
            if not table.size or table.max() <= _SAME:
                break
            row, column = np.unravel_index(table.argmax(), table.shape)
            i, j = int(sure[row]), int(column)
            found.add(i)
            self.iou.append(float(shared[i, j]))
            self.confidence.append(abs(float(original.confidence[i] - other.confidence[j])))
            shared[i], shared[:, j] = 0, 0
        self.lost += len(sure) - len(found)

    def _classes(self, original: Classification, other: Classification) -> None:
        best = int(original.scores.argmax())
        if original.scores[best] <= SURE:
            return
        self.objects += 1
        self.lost += int(other.scores.argmax()) != best
        self.confidence.append(abs(float(original.scores[best] - other.scores[best])))

    def _maps(self, original: SemanticMap, other: SemanticMap) -> None:
        alike = original.classes.shape == other.classes.shape
        same = float(np.mean(original.classes == other.classes)) if alike else 0.0
        self.objects += 1
        self.iou.append(same)
        self.lost += same <= _SAME


def _iou(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(len(a), len(b)) intersection over union of boxes."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second))
    union = area_a[:, None] + area_b[None] - shared
    table: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return table
