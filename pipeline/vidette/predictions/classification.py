"""What a classifier says of a whole picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform
from vidette.predictions.labels import class_name

if TYPE_CHECKING:
    import supervision as sv


@dataclass(slots=True, frozen=True, eq=False)
class Classification:
    """Scores of all classes for one picture; the arrays belong to this object.

    scores       (C,) float32, 0..1, one per class of the model; with one label they sum to 1
    labels       names of all classes of the model
    class_id     (n,) int32, the classes that count, best first: those above the threshold, at most top-k of them
    multi_label  whether several classes may hold at once
    """

    scores: npt.NDArray[np.float32]
    labels: Sequence[str]
    class_id: npt.NDArray[np.int32]
    multi_label: bool = False
    cut: ClassVar[int] = 0

    def __len__(self) -> int:
        return len(self.class_id)

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(n,) scores of the classes that count."""
        chosen: npt.NDArray[np.float32] = self.scores[self.class_id]
        return chosen

    def label(self, index: int) -> str:
        """The name of the class at place `index` of those that count."""
        return class_name(self.labels, int(self.class_id[index]))

    def to_supervision(self) -> "sv.Classifications":
        """The classes that count as a `supervision.Classifications`, which knows no names."""
        import supervision as sv  # 1 s and 100 MB: only for those who ask

        return sv.Classifications(self.class_id.astype(int), self.confidence)

    def transformed(self, transform: Transform) -> "Classification":
        """Itself: it lies nowhere."""
        return self
