"""Objects that a model found in one picture, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform
from vidette.predictions.labels import class_name
from vidette.predictions.masks import Masks, Outline
from vidette.predictions.sampling import layers
from vidette.predictions.skeletons import Skeleton, numbered

if TYPE_CHECKING:
    import supervision as sv

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


@dataclass(slots=True, frozen=True, eq=False)
class Detections:
    """Objects of one picture, best first; all arrays share their first axis N and belong to this object.

    It carries all geometry, and `transformed` moves all of it, so that channels cannot drift apart.

    xyxy        (N, 4) float32, left top right bottom, pixels of the upright source picture, clipped to it
    confidence  (N,) float32, 0..1
    class_id    (N,) int32, index into `labels`
    labels      names of all classes of the model
    keypoints   (N, K, 3) float32: x, y in source pixels (not clipped) and confidence 0..1; None where it has none
    cut         candidates above the threshold that were left out before NMS because there were too many
    skeleton    what the keypoints are called; None without keypoints
    corners     (N, 4, 2) float32, the corners of oriented boxes in order around them, not clipped: the first two span
                the width, the second and third the height; None where boxes are upright. `xyxy` encloses them
    masks       which pixels belong to each object; None where the model has no masks
    """

    xyxy: F32
    confidence: F32
    class_id: I32
    labels: Sequence[str]
    keypoints: F32 | None = None
    cut: int = 0
    skeleton: Skeleton | None = None
    corners: F32 | None = None
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    def label(self, index: int) -> str:
        """The name of object `index`'s class; its number as text where the model names too few."""
        return class_name(self.labels, int(self.class_id[index]))

    @property
    def point_names(self) -> Sequence[str]:
        """Names of the K keypoints; their numbers where nobody has named them."""
        count = 0 if self.keypoints is None else self.keypoints.shape[1]
        return self.skeleton.points if self.skeleton else numbered(count).points

    @property
    def xywhr(self) -> F32 | None:
        """(N, 5) centre, width, height and angle of oriented boxes: radians from x towards y, -pi/2 up to pi/2.

        None where boxes are upright. Exact while the corners are those of rectangles: a scale that differs in x and y
        makes parallelograms of them.
        """
        if self.corners is None:
            return None
        corners = self.corners.astype(np.float64)
        along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1]
        angle = np.arctan2(along[:, 1], along[:, 0])
        angle = (angle + np.pi / 2) % np.pi - np.pi / 2  # half a turn leaves a rectangle as it is
        sides = np.hypot(along[:, 0], along[:, 1]), np.hypot(across[:, 0], across[:, 1])
        return np.column_stack([corners.mean(axis=1), *sides, angle]).astype(np.float32)

    def transformed(self, transform: Transform) -> "Detections":
        """The same objects in pixels of another picture, nothing clipped."""
        keypoints = self.keypoints
        if keypoints is not None:
            keypoints = np.concatenate([transform.points(keypoints[..., :2]), keypoints[..., 2:]], axis=2)
        return replace(
            self,
            xyxy=transform.boxes(self.xyxy),
            keypoints=keypoints,
            corners=None if self.corners is None else transform.points(self.corners),
            masks=None if self.masks is None else self.masks.transformed(transform),
        )

    def take(self, indices: npt.NDArray[np.integer]) -> "Detections":
        """The objects at these places, in this order."""
        return replace(
            self,
            xyxy=self.xyxy[indices],
            confidence=self.confidence[indices],
            class_id=self.class_id[indices],
            keypoints=None if self.keypoints is None else self.keypoints[indices],
            corners=None if self.corners is None else self.corners[indices],
            masks=None if self.masks is None else self.masks.take(indices),
        )

    @staticmethod
    def joined(parts: Sequence["Detections"]) -> "Detections":
        """All objects of several parts of one picture, part after part; all must have the same channels."""

        first = parts[0]
        keypoints = [part.keypoints for part in parts if part.keypoints is not None]
        corners = [part.corners for part in parts if part.corners is not None]
        masks = [part.masks for part in parts if part.masks is not None]
        return replace(
            first,
            xyxy=np.concatenate([part.xyxy for part in parts]),
            confidence=np.concatenate([part.confidence for part in parts]),
            class_id=np.concatenate([part.class_id for part in parts]),
            keypoints=np.concatenate(keypoints) if keypoints else None,
            corners=np.concatenate(corners) if corners else None,
            masks=Masks.joined(masks) if masks else None,
            cut=sum(part.cut for part in parts),
        )

    def to_supervision(self, width: int | None = None, height: int | None = None) -> "sv.Detections":
        """The same as a `supervision.Detections`.

        Names are under `data["class_name"]`, corners of oriented boxes under `data["xyxyxyxy"]`, where supervision
        looks for them. Masks become (N, height, width) bool, of a picture of that size; where it is not given, of the
        smallest picture that holds them all.
        """
        import supervision as sv  # 1 s and 100 MB: only for those who ask
        from supervision.config import ORIENTED_BOX_COORDINATES

        data = {"class_name": np.array([self.label(i) for i in range(len(self))], dtype=str)}
        if self.corners is not None:
            data[ORIENTED_BOX_COORDINATES] = self.corners.copy()
        dense = None
        if self.masks is not None:
            crops = [self.masks.crop(i) for i in range(len(self))]
            dense = layers(crops, self.masks.extents, width, height)
        return sv.Detections(
            xyxy=self.xyxy.copy(),
            mask=dense,
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            data=data,
        )

    def to_supervision_keypoints(self) -> "sv.KeyPoints":
        """The keypoints as a `supervision.KeyPoints`: K is 0 for models without them."""
        import supervision as sv

        points = np.empty((len(self), 0, 3), np.float32) if self.keypoints is None else self.keypoints
        # by place: the third argument has another name since 0.29
        return sv.KeyPoints(
            points[..., :2].copy(),
            self.class_id.astype(int),
            points[..., 2].copy(),
            data={"class_name": np.array([self.label(i) for i in range(len(self))], dtype=str)},
        )

    @classmethod
    def none(
        cls,
        labels: Sequence[str],
        keypoints: int = 0,
        *,
        skeleton: Skeleton | None = None,
        oriented: bool = False,
        masks: Outline | None = None,
    ) -> "Detections":
        """No objects, with the same fields as if there were some."""
        count = len(skeleton.points) if skeleton else keypoints
        return cls(
            np.empty((0, 4), np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.int32),
            labels,
            keypoints=np.empty((0, count, 3), np.float32) if count else None,
            skeleton=(skeleton or numbered(count)) if count else None,
            corners=np.empty((0, 4, 2), np.float32) if oriented else None,
            masks=None if masks is None else Masks.none(masks),
        )
