"""Which objects stay when the same picture was looked at in several overlapping parts."""

import numpy as np
import numpy.typing as npt

from vidette.kernels import rotated
from vidette.kernels._jit import kernel


@kernel
def merge(
    xyxy: npt.NDArray[np.float32],
    oriented: npt.NDArray[np.float64],
    confidence: npt.NDArray[np.float32],
    class_id: npt.NDArray[np.int32],
    part: npt.NDArray[np.int32],
    iou: float,
    inside: float,
    agnostic: bool,
    most: int,
) -> npt.NDArray[np.int64]:
    """Positions of the objects that stay, best first, at most `most`: greedy suppression within each class.

    An object goes when it shares more than `iou` of the union with a better one, as always; one from another part goes
    also when more than `inside` of the smaller of the two is shared: where a cut halves an object, one part sees half
    of what its neighbour sees whole, and the union says little. `oriented` holds (5, n) boxes as `kernels/rotated.py`
    has them, whose areas count then; (5, 0) where boxes are upright.
    """
    n = len(confidence)
    order = np.argsort(-confidence, kind="mergesort")
    kept = np.empty(min(n, most), np.int64)
    turned = oriented.shape[1] > 0
    packed, points = np.empty((10, oriented.shape[1]), np.float64), np.empty((2, 8, 2), np.float64)
    for i in range(oriented.shape[1]):
        rotated.describe(packed, i, oriented, i)
    areas = np.empty(n, np.float64)
    for i in range(n):
        wide, high = max(xyxy[i, 2] - xyxy[i, 0], np.float32(0)), max(xyxy[i, 3] - xyxy[i, 1], np.float32(0))
        areas[i] = 6 * packed[rotated.SIXTH, i] if turned else wide * high
    count = 0
    for r in range(n):
        if count == len(kept):
            break
        i = order[r]
        stays = True
        for k in range(count):
            j = kept[k]
            if not agnostic and class_id[i] != class_id[j]:
                continue
            width = min(xyxy[i, 2], xyxy[j, 2]) - max(xyxy[i, 0], xyxy[j, 0])
            height = min(xyxy[i, 3], xyxy[j, 3]) - max(xyxy[i, 1], xyxy[j, 1])
            if width <= 0 or height <= 0:
                continue
            shared = rotated.shared_area(packed, i, j, points) if turned else np.float64(width * height)
            within = part[i] != part[j] and shared > inside * min(areas[i], areas[j])
            if within or shared > iou * (areas[i] + areas[j] - shared):
                stays = False
                break
        if stays:
            kept[count] = i
            count += 1
    return kept[:count]
