"""Keypoints that stand behind the class scores of a head, for the objects that stay only."""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@kernel
def keypoints(head: F32, places: I64, first: int, numbers: int, confidence: F32, inverse: F64) -> F32:
    """(n, K, 3) x, y in source pixels and confidence of the n places of a (R, N) head.

    Rows `first` and beyond are x, y in input pixels and, where `numbers` is 3, the confidence of each of K keypoints;
    with 2 each gets the (n,) `confidence` of its object. `inverse` is `Letterbox.inverse`.
    """
    count = (head.shape[0] - first) // numbers
    points = np.empty((len(places), count, 3), np.float32)
    for j in range(count):
        row = first + j * numbers
        for k in range(len(places)):
            i = places[k]
            points[k, j, 0] = (np.float64(head[row, i]) - inverse[2]) * inverse[0]
            points[k, j, 1] = (np.float64(head[row + 1, i]) - inverse[3]) * inverse[1]
            points[k, j, 2] = head[row + 2, i] if numbers == 3 else confidence[k]
    return points
