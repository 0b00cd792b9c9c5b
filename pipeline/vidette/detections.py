"""What a model saw in one picture, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import supervision as sv

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


@dataclass(slots=True, frozen=True, eq=False)
class Detections:
    """Objects of one picture, best first; all arrays share their first axis N and belong to this object.

    xyxy        (N, 4) float32, left top right bottom, pixels of the upright source picture, clipped to it
    confidence  (N,) float32, 0..1
    class_id    (N,) int32, index into `labels`
    labels      names of all classes of the model
    keypoints   (N, K, 3) float32: x, y in source pixels and confidence 0..1; None where the model has none
    cut         candidates above the threshold that were left out before NMS because there were too many
    """

    xyxy: F32
    confidence: F32
    class_id: I32
    labels: Sequence[str]
    keypoints: F32 | None = None
    cut: int = 0

    def __len__(self) -> int:
        return len(self.confidence)

    def label(self, index: int) -> str:
        """The name of object `index`'s class; its number as text where the model names too few."""
        return class_name(self.labels, int(self.class_id[index]))

    def to_supervision(self) -> "sv.Detections":
        """The same as a `supervision.Detections`, names under `data["class_name"]`."""
        import supervision as sv  # 1 s and 100 MB: only for those who ask

        return sv.Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            data={"class_name": np.array([self.label(i) for i in range(len(self))], dtype=str)},
        )

    @classmethod
    def none(cls, labels: Sequence[str], keypoints: int = 0) -> "Detections":
        """No objects, with the same fields as if there were some."""
        points = np.empty((0, keypoints, 3), np.float32) if keypoints else None
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32), labels, points)


def class_name(labels: Sequence[str], class_id: int) -> str:
    """`labels[class_id]`, or the number as text where there is no such label."""
    return labels[class_id] if 0 <= class_id < len(labels) else str(class_id)
