"""Which pixels belong to each object: small binary pictures, and where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidette.geometry import Transform

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """How masks become polygons: `tolerance` in pixels of the picture, all parts of an object or the largest."""

    tolerance: float = 1.0
    parts: Literal["all", "largest"] = "all"


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

    def transformed(self, transform: Transform) -> "Masks":
        """The same masks in another picture's pixels: crops are turned and mirrored, never resampled."""
        matrix = transform.matrix
        crops = []
        for index in range(len(self)):
            crop = self.crop(index).T if transform.turned else self.crop(index)
            across, down = (matrix[0, 1], matrix[1, 0]) if transform.turned else (matrix[0, 0], matrix[1, 1])
            crops.append(crop[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
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
