"""What a model says of each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform
from vidette.predictions.labels import class_name
from vidette.predictions.masks import Masks, Outline, Polygon
from vidette.predictions.sampling import layers, window

if TYPE_CHECKING:
    import supervision as sv

Classes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(slots=True, frozen=True, eq=False)
class SemanticMap:
    """One class for each sample of a grid over the picture; the arrays belong to this object.

    The grid is as fine as the model's answer and covers what the model saw. It may reach beyond the picture by less
    than one sample.

    classes     (h, w) uint8 or uint16, index into `labels`
    extent      (4,) float64, left, top, right, bottom of the grid in pixels of the source picture
    labels      names of all classes of the model
    class_id    (n,) int32, the classes that are present and wanted, largest area first
    shares      (n,) float32, the part of the grid that each covers, 0..1
    scores      (h, w) float32, how sure the model is of each sample, 0..1; None where it does not say
    outline     how polygons are made of it
    """

    classes: Classes
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
        if self.scores is None or not len(self):
            return np.ones(len(self), np.float32)
        from vidette.kernels import semantic  # numba takes 0.2 s: those who only list models and sinks do without

        means = semantic.means(self.classes, self.scores, int(self.class_id.max()) + 1)
        return means[self.class_id].astype(np.float32)

    def label(self, index: int) -> str:
        """The name of the class at place `index` of those that are present."""
        return class_name(self.labels, int(self.class_id[index]))

    @property
    def void(self) -> int:
        """The number that `dense` writes where no sample is: the greatest of its type."""
        return int(np.iinfo(self.classes.dtype).max)

    def dense(self, width: int, height: int) -> Classes:
        """(height, width) class of each pixel of the source picture of that size: the sample that it lies in."""
        return self._spread(self.classes, self.void, width, height)

    def dense_scores(self, width: int, height: int) -> npt.NDArray[np.float32]:
        """(height, width) the same of the scores; 1 for each pixel with a class where the model gives none."""
        scores = np.ones(self.classes.shape, np.float32) if self.scores is None else self.scores
        return self._spread(scores, 0, width, height)

    def _spread(self, grid: npt.NDArray[Any], outside: int, width: int, height: int) -> npt.NDArray[Any]:
        left, top, pixels = window(grid, self.extent, width, height)
        if pixels.shape == (height, width):
            return pixels
        full = np.full((height, width), outside, grid.dtype)
        full[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return full

    def masks(self) -> Masks:
        """One mask per present class, in the order of `class_id`, each as large as the grid."""
        crops = [(self.classes == index).view(np.uint8) for index in self.class_id]
        return Masks.of(crops, np.repeat(self.extent[None], len(self), axis=0), self.outline)

    def to_supervision(self, width: int | None = None, height: int | None = None) -> "sv.Detections":
        """One `supervision.Detections` with a mask and the box around it for each present class, largest first.

        Masks are (n, height, width) bool, of a picture of that size; where it is not given, of the smallest picture
        that holds the grid. Names are under `data["class_name"]`.
        """
        import supervision as sv  # 1 s and 100 MB: only for those who ask

        masks = self.masks()
        dense = layers([masks.crop(i) for i in range(len(self))], masks.extents, width, height)
        boxes = sv.mask_to_xyxy(dense).astype(np.float32)
        visible = np.asarray(dense.any(axis=(1, 2)))
        boxes[visible, 2:] += 1  # supervision's end with the last pixel, ours behind it
        return sv.Detections(
            xyxy=boxes,
            mask=dense,
            confidence=self.confidence,
            class_id=self.class_id.astype(int),
            data={"class_name": np.array([self.label(i) for i in range(len(self))], dtype=str)},
        )

    def polygons(self) -> list[list[Polygon]]:
        """The polygons of each present class, in the order of `class_id`, in pixels of the picture: see `Outline`."""
        return self.masks().outlines()

    def rle(self) -> list[dict[str, Any]]:
        """COCO's compressed run lengths of each present class on the grid: {size: [h, w], counts}.

        All of them come of one look at the grid.
        """
        from vidette.kernels import rle, semantic

        slots = np.full(self.void + 1, -1, np.int64)
        slots[self.class_id] = np.arange(len(self))
        lengths, ends = semantic.runs(self.classes, slots, len(self))
        texts = [rle.characters(part).tobytes().decode() for part in np.split(lengths, ends[:-1])[: len(self)]]
        return [{"size": list(self.classes.shape), "counts": text} for text in texts]

    def transformed(self, transform: Transform) -> "SemanticMap":
        """The same map in pixels of another picture: the grid is turned and mirrored, never resampled."""
        classes = np.ascontiguousarray(transform.grid(self.classes))
        extent = transform.boxes(self.extent[None])[0].astype(np.float64)
        scores = None if self.scores is None else np.ascontiguousarray(transform.grid(self.scores))
        return replace(self, classes=classes, extent=extent, scores=scores)
