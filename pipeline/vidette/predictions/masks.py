"""Which pixels belong to each object: small binary pictures, and where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform
from vidette.predictions.sampling import layers, window

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """How masks become polygons: `tolerance` in pixels of the picture, all parts of an object or the largest."""

    tolerance: float = 1.0
    parts: Literal["all", "largest"] = "all"


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One outline of an object, along the edges of the samples that belong to it.

    points   (n, 2) float32, x and y in pixels of the picture, at least three, the first not repeated; seen on the
             screen outer outlines run clockwise, holes the other way
    hole     whether it is the border of a hole
    """

    points: F32
    hole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """One mask per object, cut at its box; all arrays belong to this object.

    bits      all crops one behind the other, row by row, (total,) uint8, 0 or 1
    starts    (N,) int64, where each crop begins in `bits`
    sizes     (N, 2) int32, height and width of each crop, in samples
    extents   (N, 4) float64, left, top, right, bottom of each crop in pixels of the picture: a crop may be coarser or
              finer than the picture
    outline   how polygons are made of them
    """

    bits: U8
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    extents: F64
    outline: Outline = field(default_factory=Outline)

    def __len__(self) -> int:
        return len(self.starts)

    def crop(self, index: int) -> U8:
        """(height, width) uint8 view of one crop."""
        height, width = self.sizes[index]
        start = self.starts[index]
        return self.bits[start : start + int(height) * int(width)].reshape(height, width)

    @property
    def area(self) -> F64:
        """(N,) pixels of the picture that each mask covers."""
        width, height = (self.extents[:, 2:] - self.extents[:, :2]).T
        across, down = np.maximum(self.sizes[:, 1], 1), np.maximum(self.sizes[:, 0], 1)
        set_ = np.array([np.count_nonzero(self.crop(index)) for index in range(len(self))], np.float64)
        covered: F64 = set_ * (width / across) * (height / down)
        return covered

    def dense(self, index: int, width: int, height: int) -> npt.NDArray[np.bool_]:
        """(height, width) bool: which pixels of a picture of that size belong to an object, by their centres."""
        whole: npt.NDArray[np.bool_] = layers([self.crop(index)], self.extents[index : index + 1], width, height)[0]
        return whole

    def outlines(self, parts: Literal["all", "largest", "longest"] | None = None) -> list[list[Polygon]]:
        """The polygons of every object; none for an object without a pixel.

        Outer outlines come from the top down, each followed by its holes. `largest` is the outer outline that encloses
        most, with its holes, `longest` the one with most corners before simplification, without holes; `parts` left
        out is what `outline` says. Their area is that of the mask, within 1 %.
        """
        from vidette.kernels import polygons  # numba takes 0.2 s: those who only list models do without

        which = {"all": polygons.ALL, "largest": polygons.LARGEST, "longest": polygons.LONGEST}[
            parts or self.outline.parts
        ]
        points, ends, holes, owners = polygons.outlines(
            self.bits, self.starts, self.sizes, self.extents, float(self.outline.tolerance), which
        )
        found: list[list[Polygon]] = [[] for _ in range(len(self))]
        start = 0
        for end, hole, owner in zip(ends.tolist(), holes.tolist(), owners.tolist(), strict=True):
            found[owner].append(Polygon(points[start:end], hole))
            start = end
        return found

    def polygons(self, index: int) -> list[Polygon]:
        """Those of one object, see `outlines`."""
        one = slice(index, index + 1)
        return Masks(self.bits, self.starts[one], self.sizes[one], self.extents[one], self.outline).outlines()[0]

    def rle(self, width: int, height: int) -> list[dict[str, Any]]:
        """COCO's compressed run lengths of every mask in a picture of this size: {size: [height, width], counts}."""
        from vidette.kernels import rle

        rows = []
        for index in range(len(self)):
            left, top, pixels = window(self.crop(index), self.extents[index], width, height)
            lengths = rle.runs(np.ascontiguousarray(pixels.T), left, top, width, height)
            rows.append({"size": [height, width], "counts": rle.characters(lengths).tobytes().decode()})
        return rows

    def transformed(self, transform: Transform) -> "Masks":
        """The same masks in another picture's pixels: crops are turned and mirrored, never resampled."""
        crops = [transform.grid(self.crop(index)) for index in range(len(self))]
        return Masks.of(crops, transform.boxes(self.extents).astype(np.float64), self.outline)

    @classmethod
    def of(cls, crops: "list[U8]", extents: F64, outline: Outline) -> "Masks":
        """Of separate (height, width) crops."""
        sizes = np.array([crop.shape for crop in crops], np.int32).reshape(-1, 2)
        ends = np.cumsum(sizes.astype(np.int64).prod(axis=1))
        bits = np.concatenate([crop.reshape(-1) for crop in crops]) if crops else np.empty(0, np.uint8)
        return cls(bits, ends - sizes.astype(np.int64).prod(axis=1), sizes, extents, outline)

    def take(self, indices: npt.NDArray[np.integer]) -> "Masks":
        """The masks at these places, in this order."""
        return Masks.of([self.crop(int(index)) for index in indices], self.extents[indices], self.outline)

    @staticmethod
    def joined(parts: Sequence["Masks"]) -> "Masks":
        """All masks of several parts of one picture, part after part."""
        crops = [part.crop(index) for part in parts for index in range(len(part))]
        return Masks.of(crops, np.concatenate([part.extents for part in parts]), parts[0].outline)

    @classmethod
    def none(cls, outline: Outline | None = None) -> "Masks":
        """No masks."""
        return cls.of([], np.empty((0, 4)), outline or Outline())
