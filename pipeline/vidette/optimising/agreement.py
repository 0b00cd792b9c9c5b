"""How far a cheaper model says the same as the original."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vidette.predictions import Predictions
from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.masks import Masks
from vidette.predictions.sampling import layers
from vidette.predictions.semantic import SemanticMap

SURE = 0.35
"""Objects that the original is so sure of must be found again; those below come and go by themselves."""

_SAME = 0.5  # IoU, and part of a semantic map's samples, above which two answers mean the same
_POINTS = 0.05  # of the box's diagonal, which keypoints may be off by in the mean
_MASKS = 0.8  # IoU that two masks have at least
_CORNERS = 0.75  # the same of oriented boxes: a square and the same square turned by 45 degrees have 0.71

F32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class Agreement:
    """Counts over the pictures that were compared.

    objects      of the original above `SURE`; a classification or a semantic map counts as one
    lost         of those, without a counterpart: the same class, half of the box shared, and the same shape
    misshapen    of those lost, where only the shape is another: keypoints, mask or corners
    new          objects of the other above `SURE` without a counterpart of any confidence
    iou          of each pair; of a semantic map the part of its samples with the same class
    confidence   of each pair, the difference
    """

    pictures: int = 0
    objects: int = 0
    lost: int = 0
    misshapen: int = 0
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
            if _same_shape(original, i, other, j):
                found.add(i)
                self.iou.append(float(shared[i, j]))
                self.confidence.append(abs(float(original.confidence[i] - other.confidence[j])))
            else:
                self.misshapen += 1
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


def _same_shape(original: Detections, i: int, other: Detections, j: int) -> bool:
    """Whether all that two objects have beside their boxes agrees; what neither model gives, does."""
    agrees = True
    if original.keypoints is not None and other.keypoints is not None:
        diagonal = float(np.hypot(*(original.xyxy[i, 2:] - original.xyxy[i, :2])))
        agrees = _same_points(original.keypoints[i], other.keypoints[j], diagonal)
    if original.corners is not None and other.corners is not None:
        agrees = agrees and _same_corners(original.corners[i], other.corners[j])
    if original.masks is not None and other.masks is not None:
        agrees = agrees and _same_masks(original.masks, i, other.masks, j)
    return agrees


def _same_points(a: F32, b: F32, diagonal: float) -> bool:
    """(K, 3) each. Points that only one of them sees come and go; all of them gone is a loss."""
    seen = np.isfinite(a).all(axis=1) & (a[:, 2] > SURE)
    both = seen & np.isfinite(b).all(axis=1) & (b[:, 2] > SURE / 2)
    if not both.any():
        return not seen.any()
    off = np.hypot(*(a[both, :2].astype(np.float64) - b[both, :2]).T)
    return float(off.mean()) <= _POINTS * diagonal


def _same_corners(a: F32, b: F32) -> bool:
    """(4, 2) each."""
    import cv2

    first, second = (np.float32(corners - a.mean(axis=0)) for corners in (a, b))  # float32 is coarse far from 0
    areas = cv2.contourArea(first) + cv2.contourArea(second)
    shared, _ = cv2.intersectConvexConvex(first, second)
    return areas == 0 or shared >= _CORNERS * (areas - shared)


def _same_masks(a: Masks, i: int, b: Masks, j: int) -> bool:
    """By the pixels of the picture, whatever the samples."""
    extents = np.stack([a.extents[i], b.extents[j]])
    corner = np.floor(extents[:, :2].min(axis=0))
    first, second = layers([a.crop(i), b.crop(j)], extents - np.tile(corner, 2))
    return bool(np.count_nonzero(first & second) >= _MASKS * np.count_nonzero(first | second))


def _iou(a: F32, b: F32) -> npt.NDArray[np.float64]:
    """(len(a), len(b)) intersection over union of boxes."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second))
    union = area_a[:, None] + area_b[None] - shared
    table: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return table
