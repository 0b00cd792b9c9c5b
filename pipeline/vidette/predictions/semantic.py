"""What a model says of each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform
from vidette.predictions.labels import class_name
from vidette.predictions.masks import Outline


@dataclass(slots=True, frozen=True, eq=False)
class SemanticMap:
    """One class for each sample of a grid over the picture; the arrays belong to this object.

    classes     (h, w) uint8 or uint16, index into `labels`
    extent      (4,) float64, left, top, right, bottom of the grid in pixels of the source picture
    labels      names of all classes of the model
    class_id    (n,) int32, the classes that are present and wanted, largest area first
    shares      (n,) float32, the part of the grid that each covers, 0..1
    scores      (h, w) float32, how sure the model is of each sample, 0..1; None where it does not say
    outline     how polygons are made of it
    """

    classes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    extent: npt.NDArray[np.float64]
    labels: Sequence[str]
    class_id: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None = None
    outline: Outline = field(default_factory=Outline)
    cut: ClassVar[int] = 0

    def __len__(self) -> int:
        return len(self.class_id)

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(n,) the mean score of each present class; 1 where the model gives none."""
        if self.scores is None:
            return np.ones(len(self), np.float32)
        return np.array([self.scores[self.classes == i].mean() for i in self.class_id], np.float32)

    def label(self, index: int) -> str:
        """The name of the class at place `index` of those that are present."""
        return class_name(self.labels, int(self.class_id[index]))

    def transformed(self, transform: Transform) -> "SemanticMap":
        """The same map in pixels of another picture: the grid is turned and mirrored, never resampled."""
        matrix = transform.matrix
        across, down = (matrix[0, 1], matrix[1, 0]) if transform.turned else (matrix[0, 0], matrix[1, 1])

        def moved(grid: npt.NDArray[Any]) -> npt.NDArray[Any]:
            grid = grid.T if transform.turned else grid
            return np.ascontiguousarray(grid[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])

        extent = transform.boxes(self.extent[None])[0].astype(np.float64)
        scores = None if self.scores is None else moved(self.scores)
        return replace(self, classes=moved(self.classes), extent=extent, scores=scores)
