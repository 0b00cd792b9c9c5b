"""The one way in which coordinates move: quarter turns, mirrors, scales, shifts."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """From pixels of one picture to pixels of another, corners at pixel edges.

    matrix          (2, 3) float64, (x', y') = matrix @ (x, y, 1); its left half has one number in each row and column
    width, height   of the picture it leads to
    """

    matrix: F64
    width: float
    height: float

    @classmethod
    def scale(cls, width: float, height: float, to_width: float, to_height: float) -> Self:
        """Stretch a whole picture to another size."""
        return cls(np.array([[to_width / width, 0, 0], [0, to_height / height, 0]]), to_width, to_height)

    @classmethod
    def crop(cls, left: float, top: float, width: float, height: float) -> Self:
        """Cut out a rectangle."""
        return cls(np.array([[1.0, 0, -left], [0, 1, -top]]), width, height)

    @classmethod
    def mirror(cls, width: float, height: float, *, vertically: bool = False) -> Self:
        """Exchange left and right, or top and bottom."""
        matrix = [[1.0, 0, 0], [0, -1, height]] if vertically else [[-1.0, 0, width], [0, 1, 0]]
        return cls(np.array(matrix), width, height)

    @classmethod
    def turn(cls, width: float, height: float, degrees: int) -> Self:
        """Turn counter-clockwise by 0, 90, 180 or 270 degrees, as `frame.rotate` does to pixels."""
        matrix, to_width, to_height = {
            0: ([[1.0, 0, 0], [0, 1, 0]], width, height),
            90: ([[0.0, 1, 0], [-1, 0, width]], height, width),
            180: ([[-1.0, 0, width], [0, -1, height]], width, height),
            270: ([[0.0, -1, height], [1, 0, 0]], height, width),
        }[degrees]
        return cls(np.array(matrix), to_width, to_height)

    def then(self, after: "Transform") -> "Transform":
        """Both, one after the other."""
        matrix = after.matrix[:, :2] @ self.matrix
        matrix[:, 2] += after.matrix[:, 2]
        return Transform(matrix, after.width, after.height)

    def back(self, width: float, height: float) -> "Transform":
        """The way back into the picture of this size, from which it came."""
        inverse = np.linalg.inv(self.matrix[:, :2])
        return Transform(np.column_stack([inverse, -inverse @ self.matrix[:, 2]]), width, height)

    @property
    def turned(self) -> bool:
        """Whether x and y change places."""
        return bool(self.matrix[0, 1])

    def points(self, xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """(..., 2) points, not clipped."""
        placed = np.asarray(xy, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return placed.astype(np.float32)

    def boxes(self, xyxy: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """(N, 4) boxes left, top, right, bottom, not clipped."""
        corners = self.points(np.asarray(xyxy).reshape(-1, 2, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def grid(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of samples (h, w), turned and mirrored as the picture that they lie over; never resampled."""
        matrix = self.matrix
        across, down = (matrix[0, 1], matrix[1, 0]) if self.turned else (matrix[0, 0], matrix[1, 1])
        lying = samples.T if self.turned else samples
        return lying[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
